"""What of a scenario's figures is compared from run to run, and how much it varies by itself. Pure.

A run's figures may be anything; a measure names one number in them, and whether less or more of it is better. A ratio
against something that was measured in the same run says most, since another load on the machine affects both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

ANY = "*"  # in a path: each key
type Path = tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """One number of a scenario: what stands at `path` in the figures, in parts of what stands at `over` where that is
    given. `title` is for a reader; `is_ratio` says that it is one against something of the same run."""

    title: str
    path: Path
    better: Literal["less", "more"]
    over: Path = ()
    is_ratio: bool = True


@dataclass(frozen=True)
class Value:
    """A measure's number in one run. `noise` is half of its range over the rounds, in parts of it; None where the run
    does not say."""

    title: str
    number: float
    better: Literal["less", "more"]
    is_ratio: bool
    noise: float | None


MEASURES: Mapping[str, tuple[Measure, ...]] = {
    "deploy": (
        Measure(
            "a deploy of preset a that changes nothing, in times of the first",
            ("a", "second deploy, s"),
            "less",
            ("a", "deploy, s"),
        ),
        Measure(
            "calls of a deploy of preset a that changes nothing", ("a", "second deploy, calls"), "less", is_ratio=False
        ),
    ),
    "training_overhead": (
        Measure("a training job in times of `docker run`", ("stagemaker",), "less", ("docker run",)),
        Measure(
            "what the SDK's local mode adds, in times of what we add",
            ("local mode's overhead in times of ours",),
            "more",
        ),
    ),
    "job_throughput": (
        Measure(
            "jobs a minute, 8 at once, in parts of `docker run`'s",
            ("stagemaker, 8 at once, a minute",),
            "more",
            ("docker run, 8 at once, a minute",),
        ),
        Measure(
            "DescribeTrainingJob with 200 jobs, p99 in ms",
            ("DescribeTrainingJob with 200 that run, p99 in ms",),
            "less",
            is_ratio=False,
        ),
    ),
    "download": (Measure("a download in times of `aws s3 sync`", ("stagemaker",), "less", ("aws s3 sync",)),),
    "endpoint_start": (
        Measure(
            "an endpoint's start in times of `docker run`'s to /ping",
            ("stagemaker to InService",),
            "less",
            ("docker run to /ping",),
        ),
    ),
    "invoke_endpoint": (
        Measure("what InvokeEndpoint adds at p50, ms", ("1 client", "added_at_p50_ms"), "less", is_ratio=False),
    ),
    "update_under_load": (
        Measure("the longest rolling update, s", ("rolling", "longest_update_s"), "less", is_ratio=False),
    ),
    "serve_overload": (
        Measure(
            "answers to 256 clients in parts of answers to 8", ("answers to 256 clients over answers to 8",), "more"
        ),
        Measure(
            "answers under ten times the load, in parts of the most", (ANY, "answered, in parts of the most"), "more"
        ),
        Measure("a refusal at p99, ms", (ANY, "refusal_p99_ms"), "less", is_ratio=False),
        Measure("CPU of a refusal, ms", (ANY, "CPU of a refusal, ms"), "less", is_ratio=False),
    ),
    "serve_speed": (Measure(ANY, (ANY, "ratios", ANY), "more"),),
    "compose_up": (Measure("`make up`, s", ("up",), "less", is_ratio=False),),
    "image_builds": (Measure("a build after a code change, s", (ANY, "after a code change"), "less", is_ratio=False),),
    "gpu": (
        Measure(
            "full fine-tuning in times of the recipe",
            ("training", ANY, "full: ours in times of the recipe", "rate"),
            "more",
        ),
        Measure(
            "full fine-tuning in times of the device's limit",
            ("training", ANY, "full: ours in times of the limit", "rate"),
            "more",
        ),
        Measure(ANY, ("serving", ANY, "ratios", ANY), "more"),
    ),
    "train": (
        Measure("features in times of torchvision's recipe", ("frozen: ours in times of the recipe", "rate"), "more"),
        Measure("full fine-tuning in times of the recipe", ("full: ours in times of the recipe", "rate"), "more"),
        Measure(
            "full fine-tuning in 2 processes in times of one", ("full: 2 processes in times of one", "rate"), "more"
        ),
        Measure(
            "test accuracy of a job with the defaults",
            ("a job with the defaults", "test_accuracy"),
            "more",
            is_ratio=False,
        ),
    ),
    "tune": (
        Measure("a search of 10 jobs in times of one job", ("the search in times of one job",), "less"),
        Measure("the work of its jobs in times of one job", ("all jobs of the search in times of one job",), "less"),
    ),
    "search": (
        Measure(
            "regret of our search in parts of Random's", ("Bayesian's median regret in parts of Random's", ANY), "less"
        ),
    ),
    "early_stopping": (
        Measure("epochs saved by Auto, share", ("Auto", "epochs saved, median share"), "more", is_ratio=False),
    ),
    "scaling": (
        Measure(
            "instance-seconds in parts of the simulation's",
            ("live", "median instance-seconds, in parts of the simulation's"),
            "less",
        ),
    ),
    "scaling_real_time": (
        Measure(
            "instance-seconds in parts of the simulation's",
            ("median instance-seconds, in parts of the simulation's",),
            "less",
        ),
    ),
    "access": (
        Measure("a decision of IAM, µs", ("decision", "with_caches_us"), "less", is_ratio=False),
        Measure(
            "what `strict` adds to InvokeEndpoint at p50, ms",
            ("invoke_endpoint", "strict_adds_at_p50_ms"),
            "less",
            is_ratio=False,
        ),
    ),
    "cycles": (
        Measure(
            "memory after 100 cycles in times of that after 10",
            ("after 100", "memory (RSS), MB"),
            "less",
            ("after 10", "memory (RSS), MB"),
        ),
    ),
}
# Of serve_speed's ratios these are better when they are less.
_LESS = ("p99 of 1 client",)


def values(scenario: str, figures: Mapping[str, Any], spreads: Mapping[str, float]) -> list[Value]:
    """The measures of a run that its figures have. `spreads` is the noise of those that the figures do not tell, by
    title."""
    return [value for measure in MEASURES.get(scenario, ()) for value in _values(measure, figures, spreads)]


def _values(measure: Measure, figures: Mapping[str, Any], spreads: Mapping[str, float]) -> Iterator[Value]:
    below = next(_found(figures, measure.over), None) if measure.over else None
    for keys, leaf in _found(figures, measure.path):
        number, noise = _number(leaf)
        if number is None:
            continue
        if measure.over:
            divisor, other = _number(below[1]) if below else (None, None)
            if not divisor:
                continue
            number /= divisor
            noise = None if noise is None or other is None else noise + other
        title = " ".join(keys) if measure.title == ANY else ": ".join((*keys, measure.title))
        better = "less" if any(word in title for word in _LESS) else measure.better
        yield Value(title, number, better, measure.is_ratio, spreads.get(title, noise))


def _found(figures: Any, path: Path, keys: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What stands at the path, each with the keys that stood for ANY."""
    if not path:
        yield keys, figures
    elif isinstance(figures, Mapping):
        for key in figures if path[0] == ANY else (path[0],) if path[0] in figures else ():
            yield from _found(figures[key], path[1:], (*keys, key) if path[0] == ANY else keys)


def _number(leaf: Any) -> tuple[float | None, float | None]:
    """The number of a leaf and its noise. A summary of rounds has both."""
    if isinstance(leaf, Mapping) and leaf.get("median_s"):
        median = float(leaf["median_s"])
        rounds = leaf.get("rounds", 0)
        return median, (leaf["max_s"] - leaf["min_s"]) / 2 / median if rounds > 1 else None
    is_number = isinstance(leaf, int | float) and not isinstance(leaf, bool)
    return (float(leaf), None) if is_number else (None, None)
