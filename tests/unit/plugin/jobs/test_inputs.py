"""What was fetched once, on every host."""

from pathlib import Path

import pytest

from stagemaker.jobs.inputs import replicate, spread
from stagemaker.jobs.sources import Source
from tests.unit.plugin.jobs.trees import make, read

NAMES = ["a", "b/c", "b/d", "e", "f"]


@pytest.mark.parametrize(
    ("count", "sharded", "expected"),
    [
        (1, True, [["a", "b/c", "b/d", "e", "f"]]),
        (2, False, [["a", "b/c", "b/d", "e", "f"]] * 2),
        (2, True, [["a", "b/d", "f"], ["b/c", "e"]]),
        (3, True, [["a", "e"], ["b/c", "f"], ["b/d"]]),
    ],
)
def test_data_is_spread_over_the_hosts(tmp_path: Path, count: int, sharded: bool, expected: list[list[str]]) -> None:
    fetched = make(tmp_path / "fetched", {name: name for name in reversed(NAMES)})
    folders = [tmp_path / str(number) for number in range(count)]
    source = Source("s3://bucket/x", sharded=sharded)
    shares = [[NAMES[each] for each in source.positions(len(NAMES), host, count)] for host in range(count)]
    spread(fetched, dict(zip(folders, shares, strict=True)))
    assert [read(folder) for folder in folders] == [{name: name for name in names} for names in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number) for number in range(count)]


def test_a_host_without_a_share_has_an_empty_folder(tmp_path: Path) -> None:
    spread(make(tmp_path / "fetched", {"b/c": ""}), {tmp_path / "1": ["b/c"], tmp_path / "2": []})
    assert [path.name for path in tmp_path.iterdir() if not list(path.iterdir())] == ["2"]


def test_what_is_spread_takes_the_disk_once_and_what_is_replicated_is_each_host_s_own(tmp_path: Path) -> None:
    first = make(tmp_path / "1", {"sub/state": "first"})
    spread(make(tmp_path / "fetched", {"a": "x"}), {first: ["a"], tmp_path / "2": ["a"]})
    assert (tmp_path / "2" / "a").stat().st_ino == (first / "a").stat().st_ino
    (tmp_path / "3").mkdir()
    replicate(first, [tmp_path / "3"])
    (tmp_path / "3" / "sub" / "state").write_text("other")
    assert read(first) == {"a": "x", "sub/state": "first"}
