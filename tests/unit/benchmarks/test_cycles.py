"""The parts of the benchmark of cycles that need no stack: counting and judging."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cycles_counts
from benchmarks.cycles import KEPT_NETWORKS, early_of, growth, lowest, settled, without_kept
from benchmarks.cycles_counts import count, descendants

COUNTS = {"threads": 14, "memory (RSS), MB": 600.0}


def test_files_and_folders_at_every_depth_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(2_000_000))
    (tmp_path / "link").symlink_to("nothing")
    counts = count(os.getpid(), [str(tmp_path)])
    assert (counts["files"], counts["folders"], counts["files, MB"]) == (2, 2, 2.0)


def test_threads_descriptors_and_processes_of_a_process_are_counted(tmp_path: Path) -> None:
    """Of one that has two children, three threads and five open files; one child has ended, and nobody has asked."""
    program = """
import subprocess, sys, threading
files = [open(sys.argv[1]) for _ in range(5)]
for _ in range(2):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
ended = subprocess.Popen(["true"], stdin=subprocess.DEVNULL)
runs = subprocess.Popen([sys.executable, "-ISc", "input()"], stdin=subprocess.PIPE)
import os
os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
print(len(os.listdir("/proc/self/fd")) - 1, flush=True)
input()
"""
    (tmp_path / "file").touch()
    command = [sys.executable, "-ISc", program, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        open_files = int(process.stdout.readline())
        counts = count(process.pid, [])
        process.stdin.close()
    assert open_files > 5
    assert counts["file descriptors"] == open_files
    assert (counts["threads"], counts["processes"], counts["files"]) == (3, 2, 0)
    assert 1 < counts["memory (RSS), MB"] < 1000


def test_its_text_counts_in_a_container(tmp_path: Path) -> None:
    text = Path(cycles_counts.__file__).read_text()
    command = [sys.executable, "-ISc", text, str(os.getpid()), str(tmp_path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert told.keys() == count(os.getpid(), [str(tmp_path)]).keys()
    assert told["folders"] == 0


def test_a_process_that_has_ended_cannot_be_counted() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    with pytest.raises(FileNotFoundError):
        count(ended.pid, [])


def test_children_of_children_descend_from_a_process() -> None:
    parents = {1: 0, 10: 1, 11: 1, 20: 10, 30: 20, 40: 2}
    assert [descendants(pid, parents) for pid in (1, 10, 30, 2, 99)] == [4, 2, 0, 1, 0]


@pytest.mark.parametrize(
    ("late", "sentences"),
    [
        (COUNTS, []),
        ({"threads": 15, "memory (RSS), MB": 600.0}, ["threads grew from 14 to 15."]),
        ({"threads": 13, "memory (RSS), MB": 649.9}, []),
        ({"threads": 14, "memory (RSS), MB": 650.1}, ["memory (RSS), MB grew from 600.0 to 650.1."]),
    ],
)
def test_counts_may_not_grow_and_memory_may_a_little(late: dict[str, float], sentences: list[str]) -> None:
    assert growth(COUNTS, late) == sentences


def test_networks_that_are_kept_are_no_growth_and_others_are() -> None:
    inside = {"threads": 16, "file descriptors": 33, "files": 5}
    few = without_kept(2, inside)
    assert few == {"networks": 0, "threads": 14, "file descriptors": 31, "files": 5}
    one_more = {**inside, "threads": 17, "file descriptors": 34}
    assert growth(few, without_kept(3, one_more)) == []
    assert growth(few, without_kept(3, {**one_more, "threads": 18})) == ["threads grew from 14 to 15."]
    assert growth(few, without_kept(KEPT_NETWORKS + 1, inside)) == ["networks grew from 0 to 1."]


def test_every_policy_has_its_turn_before_the_early_count() -> None:
    assert [early_of(rounds) for rounds in (5, 20, 100)] == [4, 4, 10]
    with pytest.raises(ValueError, match="5 or more"):
        early_of(4)


def test_what_just_ends_is_not_counted() -> None:
    assert lowest([{"threads": 9, "files": 1}, {"threads": 7, "files": 2}]) == {"threads": 7, "files": 1}
    counted = iter([{"threads": 9}, {"threads": 7}, {"threads": 8}])
    assert settled(lambda: next(counted), 0) == {"threads": 9}
