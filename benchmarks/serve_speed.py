"""How fast the serving container answers photos, beside plain FastAPI with PyTorch and beside what the machine can do.

The servers take turns in each round, so that whatever else the machine does affects all alike; only ratios of one run
mean something. The load comes from this process. The limits are measured in the same rounds: the forward pass of the
engine that the server chose, decoding, and HTTP with an empty handler. Together they allow 1 / (1/a + 1/b + 1/c) images
a second. The weights are random, and the model card that the benchmark writes allows bf16, as a trained model's may.
"""

import http.client
import io
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import serve_load
from benchmarks.ports import free_port
from benchmarks.serve_load import Load
from benchmarks.serve_page import write_page
from benchmarks.timing import RESULTS, write
from infra.paths import CHECKOUT

BACKBONES = tuple((os.environ.get("ONLY") or "resnet50 mobilenet_v3_large efficientnet-lite0").split())
CLIENTS = (1, 8, 32, 256)
BURST_S = float(os.environ.get("BURST_S", "3"))
START_S, CHOICE_S = 300.0, 180.0
PHOTOS = 16
_PROGRAMS = CHECKOUT / "benchmarks" / "serve_programs"
_ENVIRONMENTS = CHECKOUT / ".stagemaker" / "env"
_CHOSEN = re.compile(r'engine_info{engine="(\w+)",precision="(\w+)",streams="(\d+)"}')
# Run in the trainer's environment: writes an artifact with random weights.
_MODEL = """
import sys
from pathlib import Path
import torch
from ml.artifact import ModelCard
from ml.config import Config
from ml.export import export, versions
from ml.model import build, preprocessing
from ml.weights import Weights

config = Config(backbone=sys.argv[1], weights="none")
model = build(config, 133, Weights(None, {"source": "none"}))
metrics = {"precisions": {"bf16": {"differing_share": 0.0}}}
classes = tuple(f"class {number}" for number in range(133))
card = ModelCard(classes, config.backbone, preprocessing(config), metrics, versions(), "", {}, {})
export(model, card, torch.randn(2, 3, 224, 224), Path(sys.argv[2]))
"""
# Run in the server's environment: prints images a second of decoding, or of the model on an engine.
_LIMIT = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from containers.serve.engines import EngineChoice, load_engine
from containers.serve.settings import cores
from ml.artifact import read_card
from ml.preprocess import preprocess

folder, photos, name, precision, streams = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
card, threads, seconds = read_card(folder), cores(), float(sys.argv[6])
engine = load_engine(folder, card, EngineChoice(name, precision, int(streams)), threads)
bodies = [path.read_bytes() for path in sorted(photos.iterdir())]
inputs = [preprocess(body, card.preprocessing)[np.newaxis] for body in bodies]

def rate(call, items, threads):
    done, end = [0] * threads, time.perf_counter() + seconds
    def work(number):
        while time.perf_counter() < end:
            call(items[(number + done[number]) % len(items)])
            done[number] += 1
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return sum(done) / seconds

print(rate(engine.run, inputs, threads), rate(lambda body: preprocess(body, card.preprocessing), bodies, threads))
print(rate(lambda body: engine.run(preprocess(body, card.preprocessing)[np.newaxis]), bodies, 1))
"""


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process, and the seconds from its start to its first answer of a photo."""

    address: tuple[str, int]
    process: "subprocess.Popen[bytes]"
    first_answer_s: float

    def memory_mb(self) -> float:
        """The proportional set size of the process and of all that it started."""
        return sum(_pss_kib(pid) for pid in _family(self.process.pid)) / 1024


def main(rounds: int) -> None:
    """Measures the scenario, and writes its figures, a table and a picture."""
    figures: dict[str, Any] = {"rounds": rounds, "burst_s": BURST_S, "cpu": _cpu()}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        requests = [_request(_photo(photos / f"{number:02}.jpg", number)) for number in range(PHOTOS)]
        for backbone in BACKBONES:
            print(f"{backbone} ...", flush=True)
            base = Path(folder) / backbone
            _python("trainer", "-c", _MODEL, backbone, base / "model")
            figures[backbone] = _measure(backbone, base, photos, requests, rounds)
    write("serve_speed", figures)
    write_page(figures, RESULTS)


def _measure(backbone: str, base: Path, photos: Path, requests: Sequence[bytes], rounds: int) -> dict[str, Any]:
    with ExitStack() as stack:
        ours = stack.enter_context(_ours(base, requests[0]))
        choice = _choice(ours)
        servers = {"stagemaker": ours, "fastapi + torch": stack.enter_context(_fastapi(backbone, requests[0]))}
        empty = stack.enter_context(_running("serve", [_PROGRAMS / "empty.py"], {}, requests[0]))
        loads: dict[str, dict[int, list[Load]]] = {name: {clients: [] for clients in CLIENTS} for name in servers}
        limits: dict[str, list[float]] = {"http": [], "forward": [], "decode": [], "one_thread": []}
        for number in range(rounds + 1):  # the first is a warm-up
            for clients in CLIENTS:
                for name, server in servers.items():
                    load = serve_load.run(server.address, requests, clients, BURST_S if number else 1.0)
                    print(f"  round {number}: {name}, {clients} clients: {load.figures()}", flush=True)
                    if number:
                        loads[name][clients].append(load)
            if number:
                limits["http"].append(serve_load.run(empty.address, requests, 8, BURST_S).answered_per_s)
                output = _python("serve", "-c", _LIMIT, base / "model", photos, *choice, BURST_S)
                for name, text in zip(("forward", "decode", "one_thread"), output.split(), strict=True):
                    limits[name].append(float(text))
        return {
            "engine": dict(zip(("name", "precision", "streams"), choice, strict=True)),
            "servers": {name: _shown(server, loads[name]) for name, server in servers.items()},
            "limits_per_s": {name: round(statistics.median(rates), 1) for name, rates in limits.items()},
            "ratios": ratios(loads["stagemaker"], loads["fastapi + torch"], limits),
        }


def ratios(
    ours: Mapping[int, Sequence[Load]], peer: Mapping[int, Sequence[Load]], limits: Mapping[str, Sequence[float]]
) -> dict[str, float | None]:
    """The medians over the rounds of what was measured in the same round; None where nothing was answered."""

    def rates(loads: Mapping[int, Sequence[Load]], clients: int) -> list[float]:
        return [load.answered_per_s for load in loads[clients]]

    def median(above: Sequence[float], below: Sequence[float]) -> float | None:
        found = [a / b for a, b in zip(above, below, strict=True) if b]
        return round(statistics.median(found), 2) if found else None

    parts = zip(limits["http"], limits["forward"], limits["decode"], strict=True)
    allowed = [1 / sum(1 / rate for rate in rates_of_a_round) for rates_of_a_round in parts]
    alone_s = [serve_load.percentile(load.took_s[200], 99) for load in ours[1]]
    return {
        "ours over the peer at 8 clients": median(rates(ours, 8), rates(peer, 8)),
        "ours over what the limits allow at 8 clients": median(rates(ours, 8), allowed),
        "32 clients over 8": median(rates(ours, 32), rates(ours, 8)),
        "256 clients over 8": median(rates(ours, 256), rates(ours, 8)),
        "p99 of 1 client over the raw time of an image": median(alone_s, [1 / rate for rate in limits["one_thread"]]),
    }


@contextmanager
def _ours(base: Path, request: bytes) -> Iterator[Server]:
    variables = {"SAGEMAKER_BASE_DIR": str(base), "STAGEMAKER_BIND_HOST": "127.0.0.1"}
    variables["STAGEMAKER_SERVE_CACHE"] = str(base / "cache")
    with _running("serve", [CHECKOUT / "containers/serve/serve"], variables, request) as server:
        deadline_s = time.monotonic() + CHOICE_S
        while not list((base / "cache").glob("*.json")) and time.monotonic() < deadline_s:
            time.sleep(0.5)
        time.sleep(5)  # the engine is replaced
        yield server


@contextmanager
def _fastapi(backbone: str, request: bytes) -> Iterator[Server]:
    with _running("dev", [_PROGRAMS / "fastapi_torch.py", backbone], {}, request) as server:
        yield server


@contextmanager
def _running(
    environment: str, command: Sequence[str | Path], variables: Mapping[str, str], request: bytes
) -> Iterator[Server]:
    """Runs a server on a free port until the end of the block, which begins with its first answer. Raises
    TimeoutError."""
    address = ("127.0.0.1", free_port())
    port = [] if "SAGEMAKER_BASE_DIR" in variables else [str(address[1])]
    began_s = time.perf_counter()
    with subprocess.Popen(
        [_ENVIRONMENTS / environment / "bin/python", *command, *port],
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "SAGEMAKER_BIND_TO_PORT": str(address[1]), **variables},
        cwd=_PROGRAMS,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while True:
                try:
                    serve_load.run(address, [request], 1, 0.0)
                    break
                except OSError:
                    if time.perf_counter() - began_s > START_S or process.poll() is not None:
                        raise TimeoutError(f"{command} does not answer") from None
                    time.sleep(0.01)
            yield Server(address, process, time.perf_counter() - began_s)
        finally:
            process.terminate()


def _choice(server: Server) -> tuple[str, str, str]:
    """What the server says that its model runs on."""
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.request("GET", "/metrics")
    found = _CHOSEN.search(connection.getresponse().read().decode())
    connection.close()
    if not found:
        raise RuntimeError("the server does not say which engine it uses")
    return found[1], found[2], found[3]


def _shown(server: Server, loads: Mapping[int, Sequence[Load]]) -> dict[str, Any]:
    """The figures of one server: of the round with the median rate, by number of clients."""
    shown: dict[str, Any] = {
        "first_answer_s": round(server.first_answer_s, 2),
        "memory_mb": round(server.memory_mb()),
    }
    for clients, rounds in loads.items():
        ordered = sorted(rounds, key=lambda load: load.answered_per_s)
        shown[f"{clients} clients"] = ordered[len(ordered) // 2].figures()
    return shown


def _python(environment: str, *arguments: object) -> str:
    variables = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [str(_ENVIRONMENTS / environment / "bin/python"), *map(str, arguments)]
    done = subprocess.run(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return done.stdout


def _photo(path: Path, seed: int) -> bytes:
    """A JPEG of 500 x 375 pixels with large shapes and some noise, as photos have."""
    random = np.random.default_rng(seed)
    shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize(
        (500, 375), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(shapes).astype(np.int16) + random.integers(-8, 9, (375, 500, 3), np.int16)
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    path.write_bytes(stream.getvalue())
    return stream.getvalue()


def _request(photo: bytes) -> bytes:
    head = "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: image/jpeg\r\n"
    return f"{head}Content-Length: {len(photo)}\r\n\r\n".encode() + photo


def _cpu() -> dict[str, Any]:
    """The kind of the CPU, and its instructions for machine learning."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.findall(r"\b(avx2|avx512f|avx512_vnni|avx512_bf16|amx_bf16|amx_int8)\b", text)
    return {"model": model[1] if model else "", "flags": sorted(set(flags))}


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _pss_kib(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
