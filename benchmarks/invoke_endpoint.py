"""InvokeEndpoint through the gateway beside the same container called directly: latency with 1 and with 8 clients.

The client is a plain socket that sends the same bytes again and again: boto3 would need more time for a request than
the container, and hide what the gateway costs. A signature is good for 15 minutes, so that they are signed once."""

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.endpoint_start import endpoint
from benchmarks.environment import IMAGE, ROLE, docker, image, stack
from benchmarks.timing import write

CLIENTS = (1, 8)
BURST_S = 2.0
BODY = b"x" * 1024
_NAME = "bench"
_PORT = 8080  # of every SageMaker container
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 64 << 10


@dataclass(frozen=True)
class Target:
    """Where the clients send which bytes; every answer must have the body of the request."""

    address: tuple[str, int]
    request: bytes


@dataclass(frozen=True)
class Burst:
    """What several clients measured at the same time, each one request after the other."""

    latencies_s: list[float]
    elapsed_s: float
    client_cpu_s: float

    def figures(self) -> dict[str, float]:
        """Of this burst. The client would be the bottleneck at a `client_cpu_share` near 1, which is one core."""
        return {
            "p50_ms": percentile(self.latencies_s, 50) * 1e3,
            "p99_ms": percentile(self.latencies_s, 99) * 1e3,
            "requests_per_s": len(self.latencies_s) / self.elapsed_s,
            "client_cpu_share": self.client_cpu_s / self.elapsed_s,
        }


def main(rounds: int) -> None:
    """Measure and write."""
    with image(), stack() as session:
        _serve(session.client("sagemaker"))
        gateway = urlsplit(session.client("sagemaker-runtime").meta.endpoint_url)
        targets = {
            "container": Target((_container_host(), _PORT), post("/invocations", BODY)),
            "gateway": Target((gateway.hostname, gateway.port), post(f"/endpoints/{_NAME}/invocations", BODY)),
        }
        measured = {clients: alternate(targets, clients, rounds) for clients in CLIENTS}
    write("invoke_endpoint", {_counted(clients): summarize(found) for clients, found in measured.items()})


def alternate(targets: dict[str, Target], clients: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """The figures of `rounds` bursts for each target, in turns. One round before the first is not counted: it warms the
    caches."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    for number in range(rounds + 1):
        for name, target in targets.items():
            figures = burst(target, clients, BURST_S).figures()
            label = f"round {number}" if number else "warm-up"
            print(f"  {label}: {_counted(clients)}, {name}: p50 {figures['p50_ms']:.2f} ms", flush=True)
            if number:
                found[name].append(figures)
    return found


def burst(target: Target, clients: int, duration_s: float) -> Burst:
    """Let the clients ask for `duration_s`. Raises OSError or ValueError for an answer that is not the one expected."""
    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(clients) as pool:
        lists = list(pool.map(lambda _: list(latencies(target, began + duration_s)), range(clients)))
    together = [latency for found in lists for latency in found]
    return Burst(together, time.perf_counter() - began, time.process_time() - cpu)


def summarize(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The median of the rounds for each target and figure, and what the gateway adds to the container at p50."""
    medians = {
        name: {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}
        for name, rounds in found.items()
    }
    added = medians["gateway"]["p50_ms"] - medians["container"]["p50_ms"]
    rounded = {name: {key: round(value, 3) for key, value in figures.items()} for name, figures in medians.items()}
    return {**rounded, "added_at_p50_ms": round(added, 3), "rounds": len(found["gateway"])}


def percentile(values: list[float], percent: int) -> float:
    """The smallest value that at least `percent` of 100 values do not exceed (nearest rank)."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[rank - 1]


def post(path: str, body: bytes, key_id: str = "test", secret: str = "test") -> bytes:  # noqa: S107 - the stack's root
    """A POST as an AWS client sends it to SageMaker Runtime, signed now."""
    headers = {"Host": "127.0.0.1", "Content-Type": "application/octet-stream"}
    request = AWSRequest("POST", f"http://127.0.0.1{path}", headers=headers, data=body)
    SigV4Auth(Credentials(key_id, secret), "sagemaker", "us-east-1").add_auth(request)
    signed = {**dict(request.headers.items()), "Content-Length": str(len(body))}
    lines = (f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items()))
    return "\r\n".join((*lines, "", "")).encode() + body


def read_answer(receive: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Status and body of one answer. Raises ValueError where it has no Content-Length, ConnectionError at its end."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += _some(receive)
    head, _, body = head.partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").split("\r\n")
    lengths = [
        value for name, _, value in (line.partition(":") for line in headers) if name.lower() == "content-length"
    ]
    if not lengths:
        raise ValueError(f"an answer without Content-Length: {status}")
    while len(body) < int(lengths[0]):
        body += _some(receive)
    return int(status.split()[1]), body


def _some(receive: Callable[[int], bytes]) -> bytes:
    received = receive(_CHUNK_BYTES)
    if not received:
        raise ConnectionError("the server closed the connection")
    return received


def latencies(target: Target, end: float) -> Iterator[float]:
    """Seconds of each request over one keep-alive connection, until `end` of the performance counter."""
    expected = target.request.partition(b"\r\n\r\n")[2]
    with closing(socket.create_connection(target.address, _TIMEOUT_S)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (began := time.perf_counter()) < end:
            connection.sendall(target.request)
            status, body = read_answer(connection.recv)
            yield time.perf_counter() - began
            if (status, body) != (200, expected):
                raise ValueError(f"{target.address} answered {status}: {body[:200]!r}")


def _counted(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def _serve(sagemaker: Any) -> None:
    """An endpoint of the tiny image, InService."""
    sagemaker.create_model(ModelName=_NAME, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "All", "ModelName": _NAME, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=_NAME, ProductionVariants=[variant])
    endpoint(sagemaker, _NAME)


def _container_host() -> str:
    """The address of the endpoint's container on the stack's network, which this machine reaches."""
    container = docker("ps", "--quiet", "--filter", f"ancestor={IMAGE}")
    return docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
