"""A training job from start to end: reads a config and data; writes checkpoints, an evaluation and an artifact."""

import csv
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ml.artifact import ModelCard
from ml.config import Config
from ml.context import Context, Paths
from ml.data import Dataset, judge_all, leave_out
from ml.distributed import ONE_HOST, Ranks
from ml.errors import Stopped
from ml.evaluate import evaluate, temperature, write
from ml.export import export, versions
from ml.feature_store import FeatureStore
from ml.fit import Progress, fit
from ml.learners import FullLearner, HeadLearner, Learner
from ml.model import Classifier, build, preprocessing
from ml.photo_list import FILE
from ml.photos import Verdicts
from ml.precisions import Validation, measure
from ml.profiling import CHECK, EVALUATION, EXPORT, SUMMARY_FILE, Timers, Tracer, summary
from ml.tensorboard import Board
from ml.weights import Weights, find_weights


def train(
    config: Config,
    dataset: Dataset,
    paths: Paths,
    stop: Callable[[], bool],
    say: Callable[[str], None],
    ranks: Ranks = ONE_HOST,
) -> None:
    """Trains, evaluates and exports; passes each line of progress to `say`.

    After `stop` answers True it ends soon, with the best model so far and the checkpoint of the last whole epoch.
    With several `ranks`, every rank calls this with the same data and config, and the first rank writes the files.
    With `profile` the first rank also writes where the time went, however the training ends.
    With `features_only` it computes the features and writes them as the job's model.
    Raises JobError for what the owner of the job can correct.
    """
    timers, tracer = Timers(), Tracer(paths.output) if config.profile and ranks.first else None
    try:
        _train_job(config, dataset, paths, stop, say, ranks, timers, tracer)
    finally:
        if tracer:
            _write_profile(paths.output, timers, tracer, say)


def _train_job(
    config: Config,
    dataset: Dataset,
    paths: Paths,
    stop: Callable[[], bool],
    say: Callable[[str], None],
    ranks: Ranks,
    timers: Timers,
    tracer: Tracer | None,
) -> None:
    start = time.monotonic()
    device, threads = set_up()
    weights = find_weights(config, paths.data / "pretrained")
    model = build(config, len(dataset.classes), weights)
    with tempfile.TemporaryDirectory(prefix="stagemaker-") as scratch:
        store = FeatureStore(config, dataset, paths, model, Path(scratch))
        cached = store.find(say)
        with timers.part(CHECK):
            verdicts = cached.verdicts if cached else judge_all(dataset, threads)
        report = paths.output if ranks.first else None
        used = leave_out(dataset, verdicts, say, config.max_unusable_share, report)
        board = Board(paths.tensorboard if ranks.first else None, say)
        context = Context(config, used, preprocessing(config), device, threads, stop, say, ranks, timers, tracer, board)
        say(_first_line(context, weights, threads))
        model.to(device)
        try:
            with ranks.connected(device.type, stop):
                trained = _train(model, context, paths, _identity(config, used, weights, device), store, verdicts)
        except Stopped:
            trained = None
        if config.features_only:
            is_complete = not ranks.first or (paths.model / FILE).is_file()
            say(f"features seconds={time.monotonic() - start:.1f}" if is_complete else "Stopped before all features.")
        elif trained is None:
            say("Stopped before the first epoch ended: there is no model yet.")
        elif not ranks.first:
            say(f"rank={ranks.rank} done: the host {ranks.hosts[0]} writes the model")
        else:
            card = _card(context, weights, trained.metrics)
            images, measured = store.samples(context), _measure(context, trained.logits)
            with timers.part(EXPORT):
                card = export(model, card, images, paths.model, measured, store.graph)
            for line in _precisions_lines(card):
                say(line)
            say(f"model classes={len(used.classes)} seconds={time.monotonic() - start:.1f}")


@dataclass(frozen=True)
class _Trained:
    """The metrics for the card, and the logits of each split that was evaluated."""

    metrics: dict[str, Any]
    logits: dict[str, Tensor]


def _train(
    model: Classifier,
    context: Context,
    paths: Paths,
    identity: dict[str, str],
    store: FeatureStore,
    verdicts: Verdicts,
) -> _Trained | None:
    """Trains and evaluates. None if no epoch was completed, or only features were to be computed. Raises Stopped."""
    context.ranks.require_equal(identity)
    learner: Learner
    found: dict[str, Any] = {}
    if context.config.fine_tune == "head":
        features = store.features(context, verdicts)
        if context.config.features_only:
            return None
        learner, found = HeadLearner(model, context, features), {"features": dict(features.origin)}
        identity |= {"engine of the features": str(features.engine)}
    else:
        learner = FullLearner(model, context)
        found = {"training_photos": learner.photos.origin()}
    progress = fit(learner, context, paths.checkpoints, identity)
    if not progress.best_epoch:
        return None
    with context.timers.part(EVALUATION):
        figures, logits = _evaluate(learner, context, progress, paths.output)
    return _Trained(_metrics(progress) | figures | found, logits)


def _card(context: Context, weights: Weights, metrics: dict[str, Any]) -> ModelCard:
    return ModelCard(
        context.dataset.classes,
        context.config.backbone,
        context.preprocessing,
        metrics,
        versions(),
        context.dataset.digest,
        context.config.to_hyperparameters(),
        weights.source,
    )


def _measure(context: Context, logits: Mapping[str, Tensor]) -> Callable[[Path], dict[str, Any]] | None:
    """What measures the lower precisions of an ONNX file on the validation photos; None when the job is not to, or had
    to stop before these were evaluated, or has no photos."""
    if "valid" not in logits or not context.config.measure_precisions or not context.dataset.has_photos:
        return None
    split = context.dataset.splits["valid"]
    validation = Validation(split, context.preprocessing, logits["valid"].numpy(), context.workers)
    training = context.dataset.splits["train"] if context.config.int8 else None
    return partial(measure, validation=validation, stop=context.stop, training=training)


def _precisions_lines(card: ModelCard) -> list[str]:
    measured = card.metrics.get("precisions", {"bf16": "Not measured."})
    return [_precision_line(name, found) for name, found in measured.items()]


def _precision_line(precision: str, found: Mapping[str, Any] | str) -> str:
    if isinstance(found, str):
        return f"precision={precision} '{found}'"
    names = ("accuracy", "accuracy_drop", "differing_share")
    figures = " ".join(f"{name}={found[name]:.4f}" for name in names)
    return f"precision={precision} photos={found['photos']} {figures}"


def set_up() -> tuple[torch.device, int]:
    """Makes algorithms deterministic and sets the number of threads: OMP_NUM_THREADS, or else the number of cores.

    Returns the device and the number of threads."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or _cores())
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and never read
    return torch.device("cuda" if torch.cuda.is_available() else "cpu"), threads


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _write_profile(folder: Path, timers: Timers, tracer: Tracer, say: Callable[[str], None]) -> None:
    seconds = timers.seconds()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY_FILE).write_text(summary(seconds, [tracer.note]), encoding="utf-8")
    longest = max(seconds, key=lambda name: seconds[name])
    say(f"profile seconds={sum(seconds.values()):.1f} longest='{longest}' {seconds[longest]:.1f}")


def _first_line(context: Context, weights: Weights, threads: int) -> str:
    counts = " ".join(f"{name}={len(split)}" for name, split in context.dataset.splits.items())
    config = context.config
    return (
        f"training backbone={config.backbone} weights='{weights.source['source']}' fine_tune={config.fine_tune} "
        f"classes={len(context.dataset.classes)} {counts} device={context.device.type} threads={threads}"
    )


def _identity(config: Config, dataset: Dataset, weights: Weights, device: torch.device) -> dict[str, str]:
    """What must be equal to continue from a checkpoint. The digest is of the photos that are used."""
    may_differ = {"epochs", "patience", "max-unusable-share", "feature-engine", "features-only"}
    may_differ |= {"measure-precisions", "int8", "profile"}
    settings = {name: value for name, value in config.to_hyperparameters().items() if name not in may_differ}
    start = weights.source.get("sha256") or weights.source["source"]
    return settings | {"data digest": dataset.digest, "starting weights": start, "kind of device": device.type}


def _metrics(progress: Progress) -> dict[str, Any]:
    return {
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "valid_accuracy": progress.best_accuracy,
        "valid_loss": progress.best_loss,
    }


def _evaluate(
    learner: Learner, context: Context, progress: Progress, folder: Path
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Evaluates valid and test, until the job must stop; returns the metrics for the card, and the logits by split. The
    first rank writes the files of each split, and history.csv."""
    if context.ranks.first:
        _write_history(progress, folder)
    metrics: dict[str, float] = {}
    all_logits: dict[str, Tensor] = {}
    for split in [name for name in ("valid", "test") if name in context.dataset.splits]:
        try:
            logits, labels = learner.logits(split)
        except Stopped:
            break
        if not context.ranks.first:
            continue
        all_logits[split] = logits
        result = evaluate(logits.numpy(), labels.numpy(), context.dataset.classes)
        write(result, folder, split)
        context.board.picture(f"{split}_confusion", progress.best_epoch, folder / f"{split}_confusion.png")
        found = {f"{split}_accuracy": result.top1, f"{split}_top5_accuracy": result.top5, f"{split}_loss": result.loss}
        prefix = f"best_epoch={progress.best_epoch} " if split == "valid" else ""
        context.say(prefix + " ".join(f"{name}={value:.4f}" for name, value in found.items()))
        metrics |= found
        if split == "valid":
            metrics["temperature"] = round(temperature(logits.numpy(), labels.numpy()), 4)
    return metrics, all_logits


def _write_history(progress: Progress, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *progress.history[0]])
        writer.writeheader()
        writer.writerows({"epoch": number} | dict(row) for number, row in enumerate(progress.history, 1))
