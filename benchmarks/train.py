"""How fast the trainer is beside torchvision's reference recipe written plainly, and beside what the machine can do.

The recipe is one process with a DataLoader: decode, transform, and PyTorch in float32, each epoch anew. The limit is
the same model on pictures that are in memory already. Each runs on the first CUDA device where there is one. All take
turns, each in a process of its own, so that other load on the machine affects all alike: only ratios of one run mean
something, and the CPU time of an image. A frozen backbone is counted in views, since ours computes each photo and its
mirror image. Of full fine-tuning the second epoch is measured: in ours a photo is decoded in the first one only.
With EfficientNet-Lite0, whose weights a package ships, a whole job with the trainer's defaults runs too: its accuracy
on the test photos, and its time from the start of the process to its end.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.timing import write
from infra.data import digits
from infra.data.layout import SPLITS
from infra.paths import CHECKOUT

BACKBONE = os.environ.get("BACKBONE", "efficientnet-lite0")
FROZEN_PHOTOS, FULL_PHOTOS = 128, 64  # in each measurement
LIMIT_S = 900.0
PYTHON = CHECKOUT / ".stagemaker" / "env" / "trainer" / "bin" / "python"
# Their arguments: the folder of the data, the backbone, the number of photos, what is measured.
RECIPE = """
import json, sys, time
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import models, transforms
from torchvision.datasets import ImageFolder
import timm

folder, backbone, photos, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
crop = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
if kind == "frozen":
    crop = [transforms.Resize(256), transforms.CenterCrop(224)]
change = transforms.Compose([*crop, transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
data = ImageFolder(folder + "/train", change)
data = Subset(data, torch.linspace(0, len(data) - 1, photos).int().tolist())
if backbone == "efficientnet-lite0":
    model = timm.create_model("tf_efficientnet_lite0", num_classes=25)
    head = model.classifier
else:
    model = getattr(models, backbone)(num_classes=25)
    head = model.fc if backbone == "resnet50" else model.classifier[-1]
if kind == "frozen":
    model.eval()
    for weight in model.parameters():
        weight.requires_grad_(False)
    for weight in head.parameters():
        weight.requires_grad_(True)
else:
    model.train()
device = "cuda" if torch.cuda.is_available() else "cpu"
model = model.to(device)
optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], 0.001, momentum=0.9)

def epoch():
    for images, labels in DataLoader(data, 32, shuffle=True):
        loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss.item()  # the device has ended, too

model(torch.zeros(2, 3, 224, 224, device=device))
if kind == "full":
    epoch()
began, cpu = time.perf_counter(), time.process_time()
epoch()
print(json.dumps({"images": photos, "s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}))
"""
OURS = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np
import torch
from ml import features
from ml.config import Config
from ml.context import Context
from ml.data import Dataset, scan
from ml.distributed import ONE_HOST, Ranks
from ml.export import write_graph
from ml.fit import Trainer
from ml.learners import FullLearner, HeadLearner
from ml.model import build, preprocessing
from ml.train import set_up
from ml.weights import Weights

folder, backbone, photos, kind = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
name, _, setting = kind.partition(" ")
fine_tune = "head" if name.endswith("frozen") else "full"
config = Config(backbone, "none", fine_tune, feature_engine=setting if name == "frozen" and setting else "auto")
device, threads = set_up()
ranks = Ranks(("127.0.0.1", "127.0.0.2"), int(setting), "lo") if name == "shared-full" else ONE_HOST
whole = scan(folder)
train = whole.splits["train"]
train = train.picked(np.linspace(0, len(train) - 1, photos).astype(int))
dataset = Dataset(whole.classes, {"train": train, "valid": whole.splits["valid"].picked([0])}, "")
model = build(config, len(dataset.classes), Weights(None, {}))
context = Context(config, dataset, preprocessing(config), device, threads, lambda: False, lambda line: None, ranks)
scratch = Path(tempfile.mkdtemp()) / "model.onnx"

def measured(work, images):
    began, cpu = time.perf_counter(), time.process_time()
    work()
    print(json.dumps({"images": images, "s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}))

if name == "frozen":
    write_graph(model, config.image_size, scratch)
    measured(lambda: features.compute(model, context, lambda: scratch), 2 * photos + 1)
elif name == "synthetic-frozen" and device.type == "cuda":
    body, side = model.body.to(device).eval(), config.image_size
    images = torch.zeros(photos, 3, side, side, device=device)
    def forward():
        with torch.inference_mode():
            for batch in (*images.split(config.batch_size), *images.split(config.batch_size)):
                body(batch)
        torch.cuda.synchronize()
    forward()
    measured(forward, 2 * photos)
elif name == "synthetic-frozen":  # the engine alone, on a picture in memory
    from concurrent.futures import ThreadPoolExecutor
    write_graph(model, config.image_size, scratch)
    chosen = features.choose("auto", "cpu", torch.cpu.get_capabilities())
    run = features.compile_features(scratch, chosen.precision, config.image_size, threads)
    image = np.zeros((3, config.image_size, config.image_size), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        measured(lambda: list(pool.map(lambda _: run(image), range(2 * photos))), 2 * photos)
else:
    with ranks.connected(device.type, lambda: False):
        learner = FullLearner(model, context)
        trainer = Trainer(learner.module, config, device, ranks)
        if name == "synthetic-full":
            batches = [(images.clone(), labels, size) for images, labels, size in learner.train_batches(1)]
            learner.train_batches = lambda epoch: iter(batches)
        trainer.epoch(1, learner)
        measured(lambda: trainer.epoch(2, learner), photos)
"""
SHARED = "shared-full"  # two processes that share each batch, with half of the cores each
PARTICIPANTS: Mapping[str, tuple[str, str, int]] = {
    "frozen: recipe": (RECIPE, "frozen", FROZEN_PHOTOS),
    "frozen: ours, PyTorch": (OURS, "frozen torch-f32", FROZEN_PHOTOS),
    "frozen: ours": (OURS, "frozen", FROZEN_PHOTOS),
    "frozen: limit": (OURS, "synthetic-frozen", FROZEN_PHOTOS),
    "full: recipe": (RECIPE, "full", FULL_PHOTOS),
    "full: ours": (OURS, "full", FULL_PHOTOS),
    "full: ours, 2 processes": (OURS, SHARED, FULL_PHOTOS),
    "full: limit": (OURS, "synthetic-full", FULL_PHOTOS),
}


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures. DATA is a folder of photos; without it scikit-learn's digits."""
    with tempfile.TemporaryDirectory() as folder:
        data = _data(Path(folder))
        job = {"a job with the defaults": whole_job(data)} if BACKBONE == "efficientnet-lite0" else {}
    write("train", measure(rounds, BACKBONE) | job)


def measure(rounds: int, backbone: str, left_out: tuple[str, ...] = ()) -> dict[str, object]:
    """The figures of all participants but those of a kind that is left out."""
    participants = {name: one for name, one in PARTICIPANTS.items() if one[1] not in left_out}
    with tempfile.TemporaryDirectory() as folder:
        data = _data(Path(folder))
        found: dict[str, list[dict[str, float]]] = {name: [] for name in participants}
        for number in range(rounds):
            for name, (program, kind, photos) in participants.items():
                run = _run_shared if kind == SHARED else _run
                measured = run(program, str(data), backbone, str(photos), kind)
                found[name].append(measured)
                rate = measured["images"] / measured["s"]
                print(f"  round {number + 1}: {name} {rate:.1f} images/s", flush=True)
    figures: dict[str, object] = {"backbone": backbone, **{name: figures_of(runs) for name, runs in found.items()}}
    for kind in ("frozen", "full"):
        ours = found[f"{kind}: ours"]
        figures |= {
            f"{kind}: ours in times of the {other}": ratio(ours, found[f"{kind}: {other}"])
            for other in ("recipe", "limit")
        }
    if SHARED not in left_out:
        figures["full: 2 processes in times of one"] = ratio(found["full: ours, 2 processes"], found["full: ours"])
    return figures


def whole_job(data: Path) -> dict[str, float]:
    """Runs the trainer's program on the folder of photos, without hyperparameters: seconds, and the shares of photos
    that it classifies right. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        channels = Path(folder) / "input" / "data"
        channels.mkdir(parents=True)
        for split in SPLITS:
            (channels / split).symlink_to(data / split)
        program = CHECKOUT / "containers" / "trainer" / "train"
        began = time.perf_counter()
        subprocess.run(
            [PYTHON, program], env=os.environ | {"SAGEMAKER_BASE_DIR": folder}, stdout=subprocess.DEVNULL, check=True
        )
        took_s = time.perf_counter() - began
        metrics = json.loads((Path(folder) / "model" / "model.json").read_text())["metrics"]
    return {"s": round(took_s, 1), **{name: round(metrics[name], 4) for name in ("valid_accuracy", "test_accuracy")}}


def _data(folder: Path) -> Path:
    return Path(os.environ["DATA"]).resolve() if os.environ.get("DATA") else digits.make(folder / "digits")


def _run(program: str, *arguments: str) -> dict[str, float]:
    return _result(_start(program, *arguments))


def _run_shared(program: str, *arguments: str) -> dict[str, float]:
    """The processes of both ranks: the longer time, and the CPU time of both."""
    shared = {"MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // 2))}
    *others, kind = arguments
    started = [_start(program, *others, f"{kind} {rank}", **shared) for rank in (0, 1)]
    found = [_result(process) for process in started]
    return {
        "images": found[0]["images"],
        "s": max(one["s"] for one in found),
        "cpu_s": sum(one["cpu_s"] for one in found),
    }


def _start(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(PYTHON), "-W", "ignore", "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_WAIT_POLICY": "PASSIVE"} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def _result(process: subprocess.Popen[str]) -> dict[str, float]:
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    if process.returncode:
        raise RuntimeError(f"a participant ended with {process.returncode}; its error is above")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def figures_of(runs: list[dict[str, float]]) -> dict[str, float]:
    """The median rate, and the least CPU time of an image, which other load changes less."""
    return {
        "images_per_s": round(statistics.median(run["images"] / run["s"] for run in runs), 1),
        "cpu_ms": round(min(1000 * run["cpu_s"] / run["images"] for run in runs), 2),
        "rounds": len(runs),
    }


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, float]:
    """The median over the rounds of our rate in times of theirs, and the ratio of the CPU times."""
    pairs = zip(ours, theirs, strict=True)
    rates = [(our["images"] / our["s"]) / (their["images"] / their["s"]) for our, their in pairs]
    cpu = min(run["cpu_s"] / run["images"] for run in theirs) / min(run["cpu_s"] / run["images"] for run in ours)
    return {"rate": round(statistics.median(rates), 2), "cpu": round(cpu, 2)}
