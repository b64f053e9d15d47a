"""Computes the frozen backbone's features of all photos, which is nearly all the work of training a head.

On a CPU OpenVINO computes them, three to four times faster than PyTorch. Which precision it uses depends on nothing but
the CPU's kind and the config, never on a measured time, so two runs of a seed on one machine have equal weights. One
thread computes one photo at a time: the features of a photo are the same bits for any number of threads and hosts.
What judges a model, the features of valid and test, is always computed in float32.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ml import batches
from ml.context import Context
from ml.data import Split, bad_image
from ml.errors import JobError
from ml.model import Classifier, fused
from ml.openvino_core import openvino_core
from ml.photos import BadImage
from ml.preprocess import preprocess
from ml.profiling import EXPORT, FEATURES, PHOTOS

MIN_AGREEMENT = 0.99  # of the validation photos must get the same class from bf16 features as from f32's
_CHECKED_PHOTOS = 300  # (ours) validation photos, at most, on which that is seen
_CHECKED_ROWS = 4000  # (ours) training features, at most, from which the classifier of that check is made
_PROGRESS_S = 2.0  # between two progress lines
_CHUNK = 16  # photos between two looks at `stop`
_RIDGE = 0.1  # (ours) of the largest diagonal element, in the classifier of the check

Floats = npt.NDArray[np.float32]
Chunks = Callable[[Split, bool], Iterator[list[Tensor]]]


class FeaturesError(JobError):
    """The features cannot be computed as asked for; the message is one clear sentence."""


@dataclass(frozen=True)
class FeatureEngine:
    """What computes features: `name` is torch or openvino, `precision` f32 or bf16."""

    name: str
    precision: str

    def __str__(self) -> str:
        return f"{self.name}-{self.precision}"


@dataclass(frozen=True)
class Features:
    """Features (photos, F) of float32 by view: the name of a split, and for mirrored photos `train mirrored`.

    `origin` is what computed those of the training: engine, version, precision, threads, CPU; for bf16 also the
    `agreement` with f32, a share."""

    tensors: Mapping[str, Tensor]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def engine(self) -> FeatureEngine:
        """What computed the features of train."""
        return FeatureEngine(self.origin["engine"], self.origin["precision"])

    def train(self) -> Tensor:
        """Those of train, and behind them those of its mirrored photos, if there are any."""
        return torch.cat([self.tensors[name] for name in ("train", mirrored("train")) if name in self.tensors])


def mirrored(split: str) -> str:
    """The name of the view of a split's mirrored photos."""
    return f"{split} mirrored"


def choose(setting: str, device: str, capabilities: Mapping[str, Any]) -> FeatureEngine:
    """What computes the features of the training photos, by the hyperparameter `feature-engine`, the kind of device
    and the CPU's capabilities (`torch.cpu.get_capabilities()`).

    "auto" takes bf16 only where the CPU multiplies matrices in it (AMX): with vector instructions for bf16 alone
    OpenVINO was slower in bf16 than in f32 (measured: 0.6 times on all three backbones)."""
    if setting != "auto":
        name, _, precision = setting.partition("-")
        return FeatureEngine(name, precision)
    if device != "cpu":
        return FeatureEngine("torch", "f32")
    return FeatureEngine("openvino", "bf16" if capabilities.get("amx_bf16") else "f32")


def compute(model: Classifier, context: Context, graph: Callable[[], Path]) -> Features:
    """The features of all splits. Each rank computes its share, and all ranks return all features.

    `graph` gives the classifier as an ONNX file, whose head is the node that reads `head.weight`; it is called for
    OpenVINO only. Raises Stopped, FeaturesError."""
    setting = context.config.feature_engine
    chosen = choose(setting, context.device.type, torch.cpu.get_capabilities())
    context.ranks.require_equal({"kind of CPU, and with it the engine of the features": str(chosen)})
    exact = _chunks(model.body, context, FeatureEngine(chosen.name, "f32"), graph)
    tensors: dict[str, Tensor] = {}
    if chosen.precision == "f32":
        tensors |= _views(context, "train", exact)
    tensors |= _views(context, "valid", exact)
    origin = _origin(chosen, context.workers)
    if chosen.precision != "f32":
        fast = _chunks(model.body, context, chosen, graph)
        trained = _views(context, "train", fast)
        share = _agreement(trained["train"], tensors["valid"], fast, context)
        origin["agreement"] = round(share, 4)
        context.say(f"features precision={chosen.precision} agreement={share:.4f} with f32 on validation photos")
        if setting == "auto" and share < MIN_AGREEMENT:
            context.say(f"features agreement is below {MIN_AGREEMENT}: those of the training are computed in f32")
            trained, origin = (
                _views(context, "train", exact),
                _origin(FeatureEngine(chosen.name, "f32"), context.workers),
            )
        tensors |= trained
    if "test" in context.dataset.splits:
        tensors |= _views(context, "test", exact)
    return Features(tensors, origin)


def classify(train: Tensor, labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """A classifier in closed form (ridge regression on one-hot labels): features (N, F) -> classes (N,)."""
    rows = train.double()
    mean = rows.mean(0)
    rows = rows - mean
    gram = rows.T @ rows
    gram += torch.eye(len(gram), dtype=gram.dtype) * _RIDGE * gram.diagonal().max().clamp_min(1e-12)
    weights = torch.linalg.solve(gram, rows.T @ nn.functional.one_hot(labels, classes).double())
    share = nn.functional.one_hot(labels, classes).double().mean(0)
    return lambda features: ((features.double() - mean) @ weights + share).argmax(1)


def _agreement(train: Tensor, valid: Tensor, fast: Chunks, context: Context) -> float:
    """The share of validation photos that get the same class from their features by `fast` as from those in `valid`,
    by a classifier that was made of the training features."""
    labels = torch.tensor(context.dataset.splits["train"].labels)
    rows = torch.from_numpy(np.random.default_rng(0).permutation(len(train))[:_CHECKED_ROWS])
    predict = classify(train[rows], labels[rows], len(context.dataset.classes))
    photos = np.random.default_rng(0).permutation(len(valid))[:_CHECKED_PHOTOS]
    [found] = _extract(context, context.dataset.splits["valid"].picked(photos), False, fast)
    return float((predict(found) == predict(valid[torch.from_numpy(photos)])).double().mean())


def _origin(engine: FeatureEngine, threads: int) -> dict[str, Any]:
    return {
        "engine": engine.name,
        "version": version(engine.name),
        "precision": engine.precision,
        "threads": threads,
        "cpu": str(torch.cpu.get_capabilities().get("cpu_name", "")),
    }


def _views(context: Context, name: str, chunks: Chunks) -> dict[str, Tensor]:
    both = name == "train" and context.config.flip
    views = _extract(context, context.dataset.splits[name], both, chunks)
    return dict(zip((name, mirrored(name)), views, strict=False))


def _extract(context: Context, split: Split, both: bool, chunks: Chunks) -> list[Tensor]:
    """Features (N, F) of the split's photos on the CPU, and when `both`, those of the mirrored photos."""
    share = split.picked(context.ranks.shard(len(split)))
    views: list[list[Tensor]] = [[] for _ in range(1 + both)]
    progress = _ProgressLines(split.name, len(share), context.say)
    for chunk in context.timers.each(FEATURES, chunks(share, both)):
        for view, rows in zip(views, chunk, strict=True):
            view.append(rows)
        progress.add(len(chunk[0]))
    return [context.ranks.gather(torch.cat(view), len(split)) for view in views]


def _chunks(body: nn.Module, context: Context, engine: FeatureEngine, graph: Callable[[], Path]) -> Chunks:
    if engine.name == "torch":
        return _with_torch(body, context)
    with context.timers.part(EXPORT):
        path = graph()
    return _with_openvino(path, engine.precision, context)


def _with_torch(body: nn.Module, context: Context) -> Chunks:
    layout = torch.channels_last
    network = fused(body).to(context.device).to(memory_format=layout)
    size = 128 if context.device.type == "cuda" else 4  # a batch of 4 stays in a CPU's cache: twice as fast as 32

    def chunks(split: Split, both: bool) -> Iterator[list[Tensor]]:
        photos = batches.fixed(split, context.preprocessing, size, context.workers)
        for images, _ in context.until_stopped(context.timers.each(PHOTOS, photos)):
            views = (images, images.flip(3)) if both else (images,)
            with torch.no_grad():
                yield [network(view.contiguous(memory_format=layout)).cpu() for view in views]

    return chunks


def _with_openvino(graph: Path, precision: str, context: Context) -> Chunks:
    """Each thread of the pool decodes a photo and computes its features, so that no core waits for another."""
    run = compile_features(graph, precision, context.preprocessing.size, context.workers)

    def chunks(split: Split, both: bool) -> Iterator[list[Tensor]]:
        def load(index: int) -> Sequence[Floats]:
            start = time.monotonic()
            try:
                image = preprocess(split.files[index].read_bytes(), context.preprocessing)
            except BadImage as error:
                raise bad_image(split.files[index], error) from error
            views = (image, np.ascontiguousarray(image[:, :, ::-1])) if both else (image,)
            decoded = time.monotonic()
            found = [run(view) for view in views]
            context.timers.work(decoded - start, time.monotonic() - decoded)
            return found

        numbers = itertools.batched(range(len(split)), _CHUNK)
        with ThreadPoolExecutor(context.workers) as pool:
            for rows in batches.load_ahead(pool, load, numbers):
                context.check_stopped()
                yield [torch.from_numpy(np.stack(view)) for view in zip(*rows, strict=True)]

    return chunks


def compile_features(graph: Path, precision: str, size: int, threads: int) -> Callable[[Floats], Floats]:
    """A function image (3, size, size) -> features (F,), which `threads` callers may use at a time, each on one core.
    Raises FeaturesError."""
    import openvino  # takes half a second, so only when it is used

    core = openvino_core()
    network = core.read_model(graph)
    [weight] = [node for node in network.get_ops() if node.get_friendly_name() == "head.weight"]
    [head] = [target.get_node() for target in weight.output(0).get_target_inputs()]
    features = openvino.Model([head.input_value(0)], network.get_parameters(), "features")
    features.reshape([1, 3, size, size])
    properties = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
        "ENABLE_CPU_PINNING": "NO",  # another container may be pinned to the same core
    }
    compiled = core.compile_model(features, "CPU", properties)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != precision:
        raise FeaturesError(
            f"OpenVINO computes in {used} on this CPU, not in {precision}: set 'feature-engine' to auto."
        )
    requests: LifoQueue[Any] = LifoQueue()
    for _ in range(threads):
        requests.put(compiled.create_infer_request())

    def run(image: Floats) -> Floats:
        request = requests.get()
        try:
            found: Floats = request.infer({0: image[np.newaxis]}, share_inputs=True)[0][0]
            return found.copy()  # the request writes its next answer into the same memory
        finally:
            requests.put(request)

    # The first call of a process, by one thread alone: OpenVINO's binding makes something of its own in it, and two
    # threads that do so at once have been seen to wait for each other for ever.
    run(np.zeros((3, size, size), np.float32))
    return run


class _ProgressLines:
    """Says how far a feature extraction is, at most every _PROGRESS_S seconds and at its end."""

    def __init__(self, name: str, total: int, say: Callable[[str], None]) -> None:
        self._name, self._total, self._say, self._done = name, total, say, 0
        self._start = self._last = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last >= _PROGRESS_S or self._done == self._total:
            rate = self._done / max(now - self._start, 1e-9)
            remaining_s = (self._total - self._done) / rate
            progress = f"images={self._done}/{self._total} images_per_s={rate:.1f} eta_s={remaining_s:.0f}"
            self._say(f"features split={self._name} {progress}")
            self._last = now
