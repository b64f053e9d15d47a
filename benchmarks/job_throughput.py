"""Jobs per minute at parallelism 1, 4 and 8, and the time of DescribeTrainingJob while 200 jobs run.

The jobs' container ends at once; it is compared with `docker run` of the same image at the same parallelism, in the
same run. A job has ended when its client, which asks every 0.25 s, is told so. For the second figure 200 jobs run a
container that sleeps; it is compared with the same calls while no job runs: what both have in common is LocalStack's
and the machine's. The goal is a p99 under 20 ms.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.environment import IMAGE, docker, image, stack, training_request
from benchmarks.timing import write
from benchmarks.training_overhead import job

PARALLEL = (1, 4, 8)
EACH = 6  # jobs of a measurement, times the parallelism
RUNNING = 200
DESCRIBED = 500
SETTLE_S = 15.0  # for what the starts and ends of containers leave to do: logs, events, the engine itself
SLEEPS = "trap 'exit 0' TERM; sleep 3600 & wait"  # a first process gets no signal that it does not handle
_LIMIT_S = 300.0


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    numbers = itertools.count()
    with image(), stack() as session:
        sagemaker = session.client("sagemaker")
        by_name: dict[str, list[float]] = {}
        calls: dict[str, Callable[[], object]] = {
            "docker run": lambda: docker("run", "--rm", IMAGE, "train"),
            "stagemaker": lambda: job(sagemaker, f"throughput-{next(numbers)}"),
        }
        for number, parallel, (name, call) in itertools.product(range(rounds), PARALLEL, calls.items()):
            rate = _per_minute(call, parallel)
            print(f"  round {number + 1}: {name}, {parallel} at once: {rate:.0f} a minute", flush=True)
            by_name.setdefault(f"{name}, {parallel} at once", []).append(rate)
        figures: dict[str, Any] = {f"{name}, a minute": round(statistics.median(r), 1) for name, r in by_name.items()}
        figures |= _described(sagemaker, ["throughput-0"], "no job that runs")
        figures |= _describe_while_they_run(sagemaker)
    write("job_throughput", figures)


def _per_minute(call: Callable[[], object], parallel: int) -> float:
    began, count = time.perf_counter(), EACH * parallel
    with ThreadPoolExecutor(parallel) as pool:
        for future in [pool.submit(call) for _ in range(count)]:
            future.result()
    return count * 60 / (time.perf_counter() - began)


def _describe_while_they_run(sagemaker: Any) -> dict[str, float]:
    """The figures of DescribeTrainingJob with RUNNING jobs."""
    names = [f"runs-{number}" for number in range(RUNNING)]
    for name in names:
        request = training_request(name)
        request["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["sh", "-c", SLEEPS]}
        request["StoppingCondition"] = {"MaxRuntimeInSeconds": 3600}
        sagemaker.create_training_job(**request)
    _wait_until_all(sagemaker, names, "Training")
    figures = _described(sagemaker, names, f"{RUNNING} that run")
    for name in names:
        sagemaker.stop_training_job(TrainingJobName=name)
    _wait_until_all(sagemaker, names, "Stopped")
    return figures


def _described(sagemaker: Any, names: list[str], state: str) -> dict[str, float]:
    """The time of DescribeTrainingJob of these jobs in turn."""
    time.sleep(SETTLE_S)
    taken = []
    for number in range(DESCRIBED):
        began = time.perf_counter()
        sagemaker.describe_training_job(TrainingJobName=names[number % len(names)])
        taken.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(taken, n=100)
    return {f"DescribeTrainingJob with {state}, p{part} in ms": round(cuts[part - 1], 2) for part in (50, 99)}


def _wait_until_all(sagemaker: Any, names: list[str], step: str) -> None:
    deadline = time.monotonic() + _LIMIT_S
    for name in names:
        while (found := sagemaker.describe_training_job(TrainingJobName=name))["SecondaryStatus"] != step:
            if time.monotonic() > deadline or found["TrainingJobStatus"] == "Failed":
                raise TimeoutError(f"{name} is {found['SecondaryStatus']}: {found.get('FailureReason')}")
            time.sleep(0.25)
