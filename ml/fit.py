"""The training loop: epochs, validation, early stopping, checkpoints. The checkpoint is the only file that it touches.

Every epoch is a function of the state before it, the seed and its number, so on a CPU a resumed training ends with
exactly the same bits as an uninterrupted one. An interrupted epoch is dropped: the checkpoint of the last whole epoch
remains.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ml import checkpoint
from ml.checkpoint import Checkpoint
from ml.config import Config
from ml.context import Context
from ml.distributed import Ranks
from ml.errors import JobError, Stopped
from ml.learners import Learner
from ml.profiling import CHECKPOINT, STEPS, VALIDATION, Tracer
from ml.progress_lines import EpochProgress, rest_line
from ml.remarks import Seen, remarks

_AMP = "cuda"
_WARM_UP_SHARE = 0.1  # (ours) of the epochs, in which the learning rate rises


class TrainingError(JobError):
    """The training failed; the message is one clear sentence that says what to change."""


@dataclass(frozen=True)
class Progress:
    """The state of a training after a whole epoch. `best_epoch` is the epoch whose weights are kept; 0 is none."""

    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = 0.0
    best_loss: float = 0.0
    history: tuple[Mapping[str, float], ...] = ()

    def after(self, row: Mapping[str, float]) -> "Progress":
        """The progress after one more epoch, which had the figures in `row`.

        An epoch is better when its validation accuracy is higher, or when that is equal and its loss is lower."""
        accuracy, loss = row["valid_accuracy"], row["valid_loss"]
        better = not self.best_epoch or (accuracy, -loss) > (self.best_accuracy, -self.best_loss)
        best = (self.epoch + 1, accuracy, loss) if better else (self.best_epoch, self.best_accuracy, self.best_loss)
        return Progress(self.epoch + 1, *best, (*self.history, row))

    def finished(self, config: Config) -> bool:
        """Whether all epochs are done, or the last `patience` epochs were not better than the best one."""
        return self.epoch >= config.epochs or self.epoch - self.best_epoch >= config.patience


@dataclass(frozen=True)
class _Mixed:
    """A batch: `share` of each input has the label in `labels`, the rest of it that in `others`."""

    inputs: Tensor
    labels: Tensor
    others: Tensor
    share: float


class Trainer:
    """The optimizer, the loss scale and the best weights of one training. A checkpoint holds them and the Progress."""

    def __init__(
        self,
        module: nn.Module,
        config: Config,
        device: torch.device,
        ranks: Ranks,
        class_weights: Tensor | None = None,
    ) -> None:
        self.module, self.config, self.device, self.ranks = module, config, device, ranks
        self._class_weights = None if class_weights is None else class_weights.to(device)
        self._network = ranks.wrap(module)
        self.optimizer = torch.optim.AdamW(
            rate_groups(module, config), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.amp = config.amp and device.type == _AMP
        half = self.amp and not torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = torch.float16 if half else torch.bfloat16
        self.scaler = torch.amp.GradScaler(_AMP, enabled=half)
        self.best = self._snapshot()

    def epoch(
        self, number: int, learner: Learner, tracer: Tracer | None = None, say: Callable[[str], None] | None = None
    ) -> float:
        """Trains one epoch and returns the mean loss over its examples. `say` gets lines of a long one. Raises Stopped,
        TrainingError."""
        set_training(self.module, self.config)
        progress = EpochProgress(number, learner.examples, say) if say else None
        total, count = torch.zeros((), dtype=torch.float64, device=self.device), 0
        batches = learner.train_batches(number)
        random = np.random.default_rng((self.config.seed, number, 0, 1))  # not the numbers of the order and the crops
        for inputs, labels, size in tracer.traced(batches) if tracer else batches:
            share = rate_share(self.config, number, count / learner.examples, (count + size) / learner.examples)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * group["times"] * share
            mix = self._mix(random, inputs, labels)
            total += self._step(mix, self.ranks.weight(len(labels), size)).double() * size
            count += size
            if progress:
                progress.add(size, partial(_mean, total, count, number))
        for statistics in self.module.buffers():
            if statistics.is_floating_point():
                self.ranks.mean(statistics)
        return _mean(self.ranks.mean(total), count, number)

    def gradient_norm(self) -> float:
        """The norm of the gradients of the last batch, but for those of vectors: a bias learns how frequent each class
        is also when everything before it is dead."""
        weights = [weight for weight in self.module.parameters() if weight.ndim > 1]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def keep_best(self) -> None:
        """Keeps a copy of the present weights as the best ones."""
        self.best = self._snapshot()

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the training, by name."""
        state = self.optimizer.state_dict()["state"]
        found = {f"optimizer.{index}.{key}": value for index, values in state.items() for key, value in values.items()}
        found |= {f"module.{name}": value for name, value in self.module.state_dict().items()}
        return found | {f"best.{name}": value for name, value in self.best.items()}

    def restore(self, tensors: Mapping[str, Tensor], scale: Mapping[str, Any]) -> None:
        """Sets the training to the state of these tensors, as tensors() returned them, and of this loss scale."""
        self.module.load_state_dict(_with_prefix(tensors, "module."))
        self.best = _with_prefix(tensors, "best.")
        state: dict[int, dict[str, Tensor]] = {}
        weights = list(self.module.parameters())
        for name, value in _with_prefix(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = _in_layout_of(weights[int(index)], value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.scaler.load_state_dict(dict(scale))

    def _mix(self, random: np.random.Generator, inputs: Tensor, labels: Tensor) -> "_Mixed":
        """The examples, or with mixup each one mixed with another of this rank's part of the batch (Zhang et al.,
        mixup: Beyond Empirical Risk Minimization, 2018). The share is the same on all ranks."""
        if not self.config.mixup:
            return _Mixed(inputs, labels, labels, 1.0)
        share = float(random.beta(self.config.mixup, self.config.mixup))
        others = torch.from_numpy(np.random.default_rng(random.integers(2**32)).permutation(len(labels)))
        others = others.to(self.device)
        return _Mixed(inputs * share + inputs[others] * (1 - share), labels, labels[others], share)

    def _step(self, mixed: "_Mixed", weight: float) -> Tensor:
        with torch.autocast(self.device.type, self.dtype, enabled=self.amp):
            logits = self._network(mixed.inputs)
            loss = self._loss(logits, mixed.labels)
            if mixed.share < 1:
                loss = loss * mixed.share + self._loss(logits, mixed.others) * (1 - mixed.share)
            loss = loss * weight
        self.optimizer.zero_grad()
        with self.ranks.translate_errors():
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over the examples; class weights are such that their mean over all training examples is 1."""
        smoothing = self.config.label_smoothing
        if self._class_weights is None:
            return nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        losses = nn.functional.cross_entropy(
            logits, labels, self._class_weights, label_smoothing=smoothing, reduction="none"
        )
        return losses.mean()

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.module.state_dict().items()}


def fit(learner: Learner, context: Context, folder: Path, identity: Mapping[str, str]) -> Progress:
    """Trains until finished or stopped, starting from the checkpoint in `folder` if there is one.

    Afterwards the learner's module has the best weights. Says one line for each epoch. The first rank writes the
    checkpoint, and all ranks read it. Raises CheckpointError, RanksError, TrainingError."""
    ranks = context.ranks
    is_balanced, labels = context.config.class_weights == "balanced", context.dataset.splits["train"].labels
    weights = class_weights(labels, len(context.dataset.classes)) if is_balanced else None
    trainer, progress = Trainer(learner.module, context.config, context.device, ranks, weights), Progress()
    told: set[str] = set()
    if saved := checkpoint.load(folder, identity):
        state = dict(saved.state)
        trainer.restore(saved.tensors, state.pop("scale"))
        progress = Progress(**state | {"history": tuple(state["history"])})
        context.say(f"resumed after_epoch={progress.epoch}")
    ranks.require_equal({"checkpoint": str(progress)})
    context.board.begin(progress.epoch, asdict(context.config), ("valid_accuracy", "valid_loss"))
    try:
        while not progress.finished(context.config):
            begun_s = time.monotonic()
            with context.timers.part(STEPS):
                say = context.say if ranks.first else None
                loss = trainer.epoch(progress.epoch + 1, learner, context.tracer, say)
            pace = {"images_per_s": len(labels) / (time.monotonic() - begun_s)}
            with context.timers.part(VALIDATION):
                logits, truth = learner.logits("valid")
            row = ranks.broadcast(_row(loss, logits, truth))
            check_finite(row["valid_loss"], "validation loss", progress.epoch + 1)  # or it might be the best
            progress = progress.after(row)
            if progress.best_epoch == progress.epoch:
                trainer.keep_best()
            context.say(_epoch_line(progress, ranks))
            rates = {group["name"]: group["lr"] for group in trainer.optimizer.param_groups}
            context.board.epoch(progress.epoch, {**row, **rates, **pace})
            if ranks.first:
                if line := rest_line(progress.epoch, context.config.epochs, time.monotonic() - begun_s):
                    context.say(line)
                classes = context.dataset.classes
                missing = _never_predicted(logits, truth, classes)
                found = remarks(Seen(progress.history, len(classes), missing, trainer.gradient_norm()))
                for name in found.keys() - told:
                    context.say(f"remark after_epoch={progress.epoch} '{found[name]}'")
                told |= found.keys()
                state = asdict(progress) | {"scale": trainer.scaler.state_dict()}
                with context.timers.part(CHECKPOINT):
                    checkpoint.save(folder, Checkpoint(trainer.tensors(), state, identity))
    except Stopped:
        context.say(f"stopped after_epoch={progress.epoch}")
    learner.module.load_state_dict(trainer.best)
    learner.module.eval()
    return progress


def set_training(module: nn.Module, config: Config) -> None:
    """Training mode, in which batch norm keeps the statistics of pretrained weights if the config says so: those of a
    small batch are noise, by which a backbone that knows such photos gets worse."""
    module.train()
    if config.weights != "none" and config.norm_statistics == "pretrained":
        for child in module.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.eval()


def rate_groups(module: nn.Module, config: Config) -> list[dict[str, Any]]:
    """The weights in the optimizer's groups, in their order in the module; each learns `times` as fast as
    `learning_rate` says. `name` is how its rate is called among the figures of an epoch."""
    head = getattr(module, "head", None)
    if head is None or config.weights == "none":
        return [{"params": list(module.parameters()), "times": 1.0, "name": "learning_rate"}]
    last = set(head.parameters())
    body = [weight for weight in module.parameters() if weight not in last]
    return [
        {"params": body, "times": 1.0, "name": "learning_rate_backbone"},
        {"params": list(head.parameters()), "times": config.head_rate, "name": "learning_rate_head"},
    ]


def rate_share(config: Config, epoch: int, before: float, after: float) -> float:
    """The part of the learning rate with which a step is done; `before` and `after` are the parts of the epoch that are
    done before and after it.

    A half cosine over all epochs. For the head it changes with each epoch; for all weights with each step, after it has
    risen in a straight line for a tenth of the epochs, at most for one: large steps at first spoil the backbone."""
    if config.fine_tune == "head":
        return (1 + math.cos(math.pi * (epoch - 1) / config.epochs)) / 2
    done, rises = epoch - 1 + before, min(1.0, _WARM_UP_SHARE * config.epochs)
    if done < rises:
        return min(1.0, (epoch - 1 + after) / rises)
    return (1 + math.cos(math.pi * (done - rises) / (config.epochs - rises))) / 2


def check_finite(loss: float, what: str, epoch: int) -> float:
    """The loss. Raises TrainingError when it is infinite or not a number; the message calls it `what`."""
    if not math.isfinite(loss):
        raise TrainingError(f"The {what} is not finite in epoch {epoch}; a smaller 'learning-rate' may help.")
    return loss


def _mean(total: Tensor, count: int, epoch: int) -> float:
    return check_finite(float(total) / count, "loss", epoch)


def class_weights(labels: Sequence[int], classes: int) -> Tensor:
    """What an example of each class counts, so that all classes count alike and the mean over all examples is 1."""
    counts = torch.bincount(torch.tensor(labels), minlength=classes)
    return len(labels) / (classes * counts.float())


def _never_predicted(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> list[str]:
    predicted, there = set(logits.argmax(1).tolist()), set(labels.tolist())
    return [classes[number] for number in sorted(there - predicted)]


def _in_layout_of(weight: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory layout of its weight, as before the checkpoint: another layout rounds differently."""
    return torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value


def _epoch_line(progress: Progress, ranks: Ranks) -> str:
    """The line after an epoch. Only the first rank prints the figures: metric definitions read them from the log."""
    if not ranks.first:
        return f"rank={ranks.rank} after_epoch={progress.epoch}"
    figures = " ".join(f"{name}={value:.4f}" for name, value in progress.history[-1].items())
    return f"epoch={progress.epoch} {figures}"


def _row(train_loss: float, logits: Tensor, labels: Tensor) -> dict[str, float]:
    return {
        "train_loss": train_loss,
        "valid_loss": float(nn.functional.cross_entropy(logits.double(), labels)),
        "valid_accuracy": float((logits.argmax(1) == labels).double().mean()),
    }


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
