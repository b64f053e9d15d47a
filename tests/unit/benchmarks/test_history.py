"""The runs of the benchmarks: kept one by one, compared on like machines, shown in a page and in a picture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import history, page, timing
from benchmarks.history import RESULTS, Run
from benchmarks.measures import MEASURES, values

CPU = {"model": "Some CPU 3000", "flags": ["avx2"]}


def summary(median_s: float, spread_s: float, rounds: int = 5) -> dict[str, float]:
    """A time as scenarios write it."""
    return {"median_s": median_s, "min_s": median_s - spread_s, "max_s": median_s + spread_s, "rounds": rounds}


def run(start_s: float, day: int = 1, spread_s: float = 0.05, **machine: Any) -> Run:
    """One of endpoint_start, on a machine where `docker run` takes a second."""
    here = {
        "when": f"2026-03-{day:02}T10:00:00+00:00", "revision": f"abcdef{day}", "cores": 2, "cpu": CPU,
        "load_average": [0.5, 0.5, 0.5], **machine,
    }  # fmt: skip
    figures = {"docker run to /ping": summary(1.0, 0.05), "stagemaker to InService": summary(start_s, spread_s)}
    return Run("endpoint_start", "python -m benchmarks endpoint_start", here, figures)


def compared(*runs: Run) -> tuple[list[str], bool]:
    return history.report({"endpoint_start": runs})


def test_no_run_is_ever_overwritten(tmp_path: Path) -> None:
    first, second = run(1.0, 1), run(2.0, 2)
    paths = [history.save(one, tmp_path) for one in (second, first)]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "endpoint_start/20260302-100000-abcdef2.json",
        "endpoint_start/20260301-100000-abcdef1.json",
    ]
    assert history.read(tmp_path) == {"endpoint_start": [first, second]}


def test_what_the_figures_do_not_tell_of_the_noise_is_kept(tmp_path: Path) -> None:
    one = Run("serve_overload", "c", run(1.0).machine, {"answers to 256 clients over answers to 8": 0.9})
    assert [value.noise for value in one.values] == [None]
    told = replace(one, spreads={"answers to 256 clients in parts of answers to 8": 0.04})
    history.save(told, tmp_path)
    ((kept,),) = history.read(tmp_path).values()
    assert [value.noise for value in kept.values] == [0.04]


def test_a_ratio_has_the_noise_of_both_its_parts() -> None:
    (value,) = run(2.0, spread_s=0.2).values
    assert (value.number, value.better, value.is_ratio) == (2.0, "less", True)
    assert value.noise == pytest.approx(0.1 + 0.05)


def test_one_round_has_no_noise() -> None:
    figures = {"stagemaker": summary(3.0, 0.0, 1), "aws s3 sync": summary(4.0, 0.0, 1)}
    (value,) = values("download", figures, {})
    assert (value.number, value.noise) == (0.75, None)


def test_a_measure_for_each_key_of_the_figures() -> None:
    ratios = {"ours over fastapi at 8 clients": 2.0, "p99 of 1 client over the raw time of an image": 1.3, "none": None}
    found = values("serve_speed", {"rounds": 3, "resnet50": {"ratios": ratios}}, {})
    assert [(value.title, value.better) for value in found] == [
        ("resnet50 ours over fastapi at 8 clients", "more"),
        ("resnet50 p99 of 1 client over the raw time of an image", "less"),
    ]


def test_worse_by_more_than_the_noise_is_a_regression() -> None:
    (line,), worse = compared(run(1.0, 1), run(1.5, 2))
    assert worse
    assert line.startswith(
        "WORSE      endpoint_start: an endpoint's start in times of `docker run`'s to /ping: 1 -> 1.5 "
    )
    assert line.endswith("(50% worse, noise 18%), load 0.5 and 0.5")


@pytest.mark.parametrize(("start_s", "verdict"), [(1.1, "as before"), (0.9, "as before"), (0.5, "better")])
def test_within_the_noise_nothing_has_changed(start_s: float, verdict: str) -> None:
    (line,), worse = compared(run(1.0, 1), run(start_s, 2))
    assert line.startswith(verdict)
    assert not worse


def test_noisy_rounds_hide_a_change() -> None:
    assert compared(run(1.0, 1), run(1.5, 2, spread_s=0.75))[1] is False


def test_the_last_run_on_such_a_machine_counts() -> None:
    other = run(0.1, 3, cpu={"model": "Another CPU", "flags": []})
    many = run(0.1, 4, cores=64)
    (line,), worse = compared(run(5.0, 1), run(1.0, 2), other, many, run(1.0, 5))
    assert "1 -> 1 " in line
    assert not worse


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ([run(1.0)], "alone      endpoint_start: no other run was on such a machine"),
        ([run(1.0, 1), run(1.0, 2, cores=4)], "alone      endpoint_start: no other run was on such a machine"),
        (
            [run(1.0, 1, cpu={}), run(9.0, 2, cpu={})],
            "alone      endpoint_start: its run does not say what its CPU is",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(runs: list[Run], line: str) -> None:
    assert compared(*runs) == ([line], False)


def test_a_measure_that_only_one_run_has_is_not_compared() -> None:
    assert history.compare(replace(run(1.0, 1), figures={"other": 1}), run(1.0, 2)) == []


@pytest.mark.parametrize(("start_s", "code"), [(1.0, 0), (3.0, 1)])
def test_the_exit_code_says_whether_one_is_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_s: float, code: int
) -> None:
    runs = {"endpoint_start": [run(1.0, 1), run(start_s, 2)]}
    monkeypatch.setattr(history, "read", lambda: runs)
    assert command.main(["compare"]) == code


def test_a_run_says_what_its_machine_is(tmp_path: Path) -> None:
    here = timing.machine()
    assert here["packages"].keys() >= {"pytest"}
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "model name\t: Some CPU 3000\nflags\t\t: fpu avx2 amx_bf16 avx2x\nflags\t\t: fpu avx2 amx_bf16\n"
    )
    assert timing.cpu(cpuinfo) == {"model": "Some CPU 3000", "flags": ["amx_bf16", "avx2"]}
    assert timing.cpu(tmp_path / "none") == {"model": "", "flags": []}


def test_every_run_lies_where_its_time_and_revision_say() -> None:
    found = history.read()
    assert found
    for runs in found.values():
        for one in runs:
            assert history.path_of(one).is_file()
    assert not list(RESULTS.glob("*.json")), "one file a run, in the folder of its scenario"


def test_every_measure_is_of_a_scenario_and_is_found_in_its_runs() -> None:
    assert MEASURES.keys() <= set(command.SCENARIOS)
    for scenario, runs in history.read().items():
        assert runs[-1].values, f"name a measure of {scenario} in benchmarks/measures.py"


def test_the_page_and_the_picture_are_up_to_date() -> None:
    runs = history.read()
    text = page.PAGE.read_text()
    assert page.with_table(text, page.table(runs)) == text, "python -m benchmarks page"
    assert page.digest(runs) in page.PICTURE.read_text(), "python -m benchmarks page"


def test_the_picture_has_every_ratio_of_every_run(tmp_path: Path) -> None:
    runs = {"endpoint_start": [run(1.0, 1), run(2.0, 2)]}
    (by_title,) = page.points(runs).values()
    (found,) = by_title.values()
    assert found == [("2026-03-01T10:00:00+00:00", 1.0), ("2026-03-02T10:00:00+00:00", 2.0)]
    pictures = [tmp_path / name for name in ("one.svg", "two.svg")]
    for path in pictures:
        page.draw(runs, path)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert page.digest(runs) in pictures[0].read_text()


def test_the_table_replaces_only_what_is_between_its_marks() -> None:
    text = f"above\n\n{page.BEGIN}\nold\n{page.END}\n\nbelow\n"
    assert page.with_table(text, "| new |") == f"above\n\n{page.BEGIN}\n\n| new |\n\n{page.END}\n\nbelow\n"


def test_a_run_that_was_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history.save, "__defaults__", (tmp_path,))
    timing.write("compose_up", {"up": summary(8.0, 1.0)}, packages={"torch": "2.9"})
    ((one,),) = history.read(tmp_path).values()
    assert one.machine["packages"]["torch"] == "2.9"
    assert one.machine["load_average"]
    (path,) = tmp_path.glob("compose_up/*.json")
    assert json.loads(path.read_text()).keys() == {"scenario", "command", "machine", "figures"}
