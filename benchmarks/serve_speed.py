"""How fast the serving container answers photos, beside its peers (serve_peers.py) and beside what the machine can do.

Ours and a peer take turns in each round, so that whatever else the machine does affects both alike; only ratios of one
run mean something, and the CPU time of an answer. The load comes from this process. The limits are measured in the same
rounds: the forward pass of the engine that the server chose, decoding, and HTTP with an empty handler. Together they
allow 1 / (1/a + 1/b + 1/c) images a second. A thread that decodes a photo and then runs the model on it takes longer
than both apart, since each finds the caches full of the other's data: the limit `together` is what such threads do.
Each model comes from a real training job on pictures of eight colours: a head on EfficientNet-Lite0's pretrained
weights, or on random weights of the others, which no package here has. So its model card says what was measured of bf16
and int8, and the server chooses among what it allows. The colours are easy to tell apart, even by ResNet-50's random
features; MobileNetV3-L's tell nothing, so that it answers one class in every precision. How many answers int8 changes
on photos, only the card of a model for photos says.
"""

import http.client
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import serve_load, serve_peers
from benchmarks.serve_load import Load
from benchmarks.serve_page import write_page
from benchmarks.serve_peers import PEERS, CannotRun, Server, running, running_peer
from benchmarks.timing import RESULTS, write
from infra.paths import CHECKOUT

BACKBONES = tuple((os.environ.get("ONLY") or "resnet50 mobilenet_v3_large efficientnet-lite0").split())
CLIENTS = (1, 8, 32, 256)
BURST_S = float(os.environ.get("BURST_S", "3"))
CHOICE_S = 180.0
PHOTOS = 16
PICTURES = {"train": 30, "valid": 15}  # of each colour; 120 in `valid` are enough to measure int8
COLOURS = tuple(itertools.product((60, 190), repeat=3))
OURS = "stagemaker"
_CHOSEN = re.compile(r'engine_info{engine="(\w+)",precision="(\w+)",streams="(\d+)"}')
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

def answer(body):
    return engine.run(preprocess(body, card.preprocessing)[np.newaxis])

print(rate(answer, bodies, 1), rate(answer, bodies, threads))
"""


@dataclass(frozen=True)
class Burst:
    """A load, and the seconds of the CPU that the server took for it."""

    load: Load
    cpu_s: float

    def figures(self) -> dict[str, float]:
        """Those of the load, and milliseconds of the server's CPU an answer, which neighbours change less than rates.
        Without refusals only: these take of it too."""
        found = self.load.figures()
        answers = self.load.took_s.get(200, [])
        if answers and 503 not in self.load.took_s:
            found["cpu_ms"] = round(1000 * self.cpu_s / len(answers), 2)
        return found


@dataclass(frozen=True)
class Round:
    """What was measured one right after the other: each server's bursts by number of clients, and what the machine can
    do, in images a second."""

    bursts: Mapping[str, Mapping[int, Burst]]
    limits_per_s: Mapping[str, float]

    @property
    def allowed_per_s(self) -> float:
        """The images a second that HTTP, the forward pass and decoding allow."""
        return self.allow("http", "forward", "decode")

    def allow(self, *limits: str) -> float:
        """The images a second of these limits, one after the other."""
        return 1 / sum(1 / self.limits_per_s[name] for name in limits)


def main(rounds: int) -> None:
    """Measures the scenario, and writes its figures, a table and a picture."""
    figures = measure(rounds)
    write("serve_speed", figures)
    write_page(figures, RESULTS)


def measure(rounds: int, engine: str = "auto") -> dict[str, Any]:
    """The figures of the models BACKBONES, ours on an engine that the server knows."""
    asked = serve_peers.names(os.environ.get("PEERS") or "fastapi")
    left_out: dict[str, str] = {}
    peers = []
    for name in asked:
        try:
            serve_peers.install(name)
            peers.append(name)
        except CannotRun as error:
            left_out[name] = str(error)
    figures: dict[str, Any] = {"rounds": rounds, "burst_s": BURST_S, "left out": left_out}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        bodies = [photo(photos / f"{number:02}.jpg", number) for number in range(PHOTOS)]
        for backbone in BACKBONES:
            print(f"{backbone} ...", flush=True)
            base = Path(folder) / backbone
            write_model(backbone, base / "model")
            figures[backbone] = _measure(backbone, engine, base, bodies, peers, rounds, left_out)
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}", flush=True)
    return figures


def _measure(
    backbone: str,
    engine: str,
    base: Path,
    bodies: Sequence[bytes],
    peers: Sequence[str],
    count: int,
    left_out: dict[str, str],
) -> dict[str, Any]:
    """The figures of one model. Ours takes turns with one peer after the other, so that no more than two servers take
    memory, and no third one takes time. A peer that does not run is added to `left_out`."""
    requests = {OURS: [request_of("/invocations", body) for body in bodies]}
    requests |= {name: [request_of(PEERS[name].path, body) for body in bodies] for name in peers}
    shown: dict[str, dict[str, float]] = {}
    rounds: list[Round] = []
    with (
        running_ours(base, engine, requests[OURS][0]) as ours,
        running("serve", ["empty.py"], {}, requests[OURS][0]) as empty,
    ):
        choice = _choice(ours)

        def limits() -> dict[str, float]:
            output = _python(
                _environment(engine), "-c", _LIMIT, base / "model", base.parent / "photos", *choice, BURST_S
            )
            rates = map(float, output.split())
            return {
                "http": serve_load.run(empty.address, requests[OURS], 8, BURST_S).answered_per_s,
                **dict(zip(("forward", "decode", "one_thread", "together"), rates, strict=True)),
            }

        def take_turns(servers: Mapping[str, Server]) -> None:
            for number in range(count + 1):  # the first is a warm-up
                found = _bursts(servers, requests, BURST_S if number else 1.0, f"round {number}")
                if not number:
                    continue
                rounds.append(Round(found, limits()))
                for name, server in servers.items():
                    first_s, memory_mb = round(server.first_answer_s, 2), round(server.memory_mb())
                    shown[name] = {"first_answer_s": first_s, "memory_mb": memory_mb}

        for name in peers:
            try:
                with running_peer(name, backbone, base / name, requests[name][0]) as peer:
                    take_turns({OURS: ours, name: peer})
            except CannotRun as error:
                left_out[name] = str(error)
        if not rounds:
            take_turns({OURS: ours})
    return {
        "engine": dict(zip(("name", "precision", "streams"), choice, strict=True)),
        "servers": {name: found | _typical(rounds, name) for name, found in shown.items()},
        "limits_per_s": {
            name: round(statistics.median(it.limits_per_s[name] for it in rounds), 1) for name in rounds[0].limits_per_s
        },
        "ratios": ratios(rounds),
    }


def _bursts(
    servers: Mapping[str, Server], requests: Mapping[str, Sequence[bytes]], seconds: float, title: str
) -> dict[str, dict[int, Burst]]:
    """One burst of each server for each number of clients. Raises CannotRun when a peer fails under a load."""
    found: dict[str, dict[int, Burst]] = {name: {} for name in servers}
    for clients in CLIENTS:
        for name, server in servers.items():
            began_s = server.cpu_s()
            try:
                load = serve_load.run(server.address, requests[name], clients, seconds)
            except (OSError, RuntimeError) as error:
                if name == OURS:
                    raise
                raise CannotRun(f"with {clients} clients, {error}") from error
            found[name][clients] = burst = Burst(load, server.cpu_s() - began_s)
            print(f"  {title}: {name}, {clients} clients: {burst.figures()}", flush=True)
    return found


def _typical(rounds: Sequence[Round], name: str) -> dict[str, Any]:
    """The figures of one server: of the round with the median rate, by number of clients."""
    shown = {}
    for clients in CLIENTS:
        bursts = [it.bursts[name][clients] for it in rounds if name in it.bursts]
        ordered = sorted(bursts, key=lambda burst: burst.load.answered_per_s)
        shown[f"{clients} clients"] = ordered[len(ordered) // 2].figures()
    return shown


def ratios(rounds: Sequence[Round]) -> dict[str, float | None]:
    """The medians over the rounds of what was measured in the same round; None where nothing was answered."""

    def median(pairs: Iterable[tuple[float, float]]) -> float | None:
        found = [above / below for above, below in pairs if below]
        return round(statistics.median(found), 2) if found else None

    def rate(it: Round, name: str, clients: int) -> float:
        return it.bursts[name][clients].load.answered_per_s

    peers = list(dict.fromkeys(name for it in rounds for name in it.bursts if name != OURS))
    over_peers = {
        f"ours over {peer} at 8 clients": median(
            (rate(it, OURS, 8), rate(it, peer, 8)) for it in rounds if peer in it.bursts
        )
        for peer in peers
    }
    alone = [(it.bursts[OURS][1].load.took_s[200], it.limits_per_s["one_thread"]) for it in rounds]
    return {
        **over_peers,
        "ours over what the limits allow at 8 clients": median((rate(it, OURS, 8), it.allowed_per_s) for it in rounds),
        "ours over what HTTP and both together allow at 8 clients": median(
            (rate(it, OURS, 8), it.allow("http", "together")) for it in rounds
        ),
        "32 clients over 8": median((rate(it, OURS, 32), rate(it, OURS, 8)) for it in rounds),
        "256 clients over 8": median((rate(it, OURS, 256), rate(it, OURS, 8)) for it in rounds),
        "p99 of 1 client over the raw time of an image": median(
            (serve_load.percentile(took_s, 99), 1 / raw) for took_s, raw in alone
        ),
    }


@contextmanager
def running_ours(base: Path, engine: str, request: bytes) -> Iterator[Server]:
    """Runs our server with the model in `base` until the end of the block, which begins when the server has chosen its
    engine. Raises TimeoutError."""
    variables = {"SAGEMAKER_BASE_DIR": str(base), "STAGEMAKER_BIND_HOST": "127.0.0.1"}
    variables |= {"STAGEMAKER_SERVE_CACHE": str(base / "cache"), "STAGEMAKER_SERVE_ENGINE": engine}
    with running(_environment(engine), [CHECKOUT / "containers/serve/serve"], variables, request) as server:
        if engine == "auto":
            deadline_s = time.monotonic() + CHOICE_S
            while not list((base / "cache").glob("*.json")) and time.monotonic() < deadline_s:
                time.sleep(0.5)
            time.sleep(5)  # the engine is replaced
        yield server


def _environment(engine: str) -> str:
    """The one that has the packages of `serve`, or those of `serve-gpu`."""
    return "dev" if engine == "torch" else "serve"


def _choice(server: Server) -> tuple[str, str, str]:
    """What the server says that its model runs on."""
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.request("GET", "/metrics")
    found = _CHOSEN.search(connection.getresponse().read().decode())
    connection.close()
    if not found:
        raise RuntimeError("the server does not say which engine it uses")
    return found[1], found[2], found[3]


def _python(environment: str, *arguments: object) -> str:
    variables = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [str(serve_peers.ENVIRONMENTS / environment / "bin/python"), *map(str, arguments)]
    done = subprocess.run(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    return done.stdout


def write_model(backbone: str, folder: Path) -> None:
    """Trains a model of the backbone on the colours; `folder` is called `model`, and the job's files lie beside it."""
    base, weights = folder.parent, "imagenet" if backbone == "efficientnet-lite0" else "none"
    for place, (split, count) in enumerate(PICTURES.items()):
        for name, colour in enumerate(COLOURS):
            for number in range(count):
                _picture(base / f"input/data/{split}/{name}/{number:02}.png", colour, 100 * place + number)
    settings = base / "input/config"
    settings.mkdir()
    hyperparameters = {"backbone": backbone, "weights": weights, "flip": "false", "epochs": "30"}
    (settings / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    program = [serve_peers.ENVIRONMENTS / "trainer/bin/python", CHECKOUT / "containers/trainer/train"]
    variables = {"PATH": os.defpath, "SAGEMAKER_BASE_DIR": str(base)}
    done = subprocess.run(
        program, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    for line in done.stdout.splitlines():
        if line.startswith("precision="):
            print(f"  {line}", flush=True)


def _picture(path: Path, colour: tuple[int, ...], seed: int) -> None:
    """Large shapes in about this colour, 64 x 64."""
    shapes = np.random.default_rng(seed).integers(-50, 51, (6, 6, 3)) + np.array(colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shapes.astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def photo(path: Path, seed: int) -> bytes:
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


def request_of(path: str, body: bytes) -> bytes:
    """The whole POST of a photo to the path."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: image/jpeg\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
