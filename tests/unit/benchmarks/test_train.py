"""The figures of a training benchmark are those computed by hand, and its programs can be read."""

import ast

from benchmarks.train import OURS, RECIPE, figures_of, ratio


def run(images: int, s: float, cpu_s: float) -> dict[str, float]:
    return {"images": images, "s": s, "cpu_s": cpu_s}


def test_a_rate_is_the_median_and_cpu_time_the_least() -> None:
    runs = [run(100, 10, 4), run(100, 5, 3), run(100, 20, 5)]
    assert figures_of(runs) == {"images_per_s": 10.0, "cpu_ms": 30.0, "rounds": 3}


def test_the_ratio_is_of_the_same_round_and_counts_images() -> None:
    ours, theirs = [run(200, 10, 4), run(200, 40, 4)], [run(100, 10, 4), run(100, 40, 4)]
    assert ratio(ours, theirs) == {"rate": 2.0, "cpu": 2.0}


def test_the_programs_can_be_read() -> None:
    for program in (OURS, RECIPE):
        assert ast.parse(program).body
