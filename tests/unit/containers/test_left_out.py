"""What the images leave out of their packages (containers/left_out.py), on a folder made by the test."""

import re
from pathlib import Path

import pytest

from containers.left_out import KNOWN_MACHINE, LIST, leave_out, parts

ROOT = Path(__file__).resolve().parents[3]
TEXT = """
[[part]]
package = "torch"
paths = ["torch/include", "torch/**/tests", "torch/*.a"]
megabytes = 1
why = "To compile."
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("include/a.h", "tests/tests/one.py", "lib.a", "kept.so"):
        path = tmp_path / "torch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100_000))
    return tmp_path


def test_what_the_list_names_is_deleted_and_said(site: Path) -> None:
    lines = leave_out(parts(TEXT), ["torch"], site, KNOWN_MACHINE)
    assert [path.name for path in site.rglob("*") if path.is_file()] == ["kept.so"]
    assert lines == [
        "left out: torch/include 0.1 MB (torch)",
        "left out: torch/**/tests 0.1 MB (torch)",
        "left out: torch/*.a 0.1 MB (torch)",
    ]


def test_a_part_that_is_no_longer_there_fails_before_anything_is_deleted(site: Path) -> None:
    (site / "torch" / "lib.a").unlink()
    with pytest.raises(SystemExit, match=r"names what is not in .*: torch/\*\.a\. Look at the new release\."):
        leave_out(parts(TEXT), ["torch"], site, KNOWN_MACHINE)
    assert (site / "torch" / "include" / "a.h").exists()


def test_on_another_machine_a_part_may_be_missing(site: Path) -> None:
    (site / "torch" / "lib.a").unlink()
    assert leave_out(parts(TEXT), ["torch"], site, "aarch64")[-1] == "left out: torch/*.a 0.0 MB (torch)"


def test_a_package_that_the_list_does_not_have_is_refused(site: Path) -> None:
    with pytest.raises(SystemExit, match=r"left_out\.toml has no package numpy"):
        leave_out(parts(TEXT), ["numpy"], site, KNOWN_MACHINE)


def test_the_dockerfiles_leave_out_each_part_of_the_list() -> None:
    texts = [(ROOT / "containers" / name / "Dockerfile").read_text() for name in ("trainer", "serve")]
    for text in texts:
        named = {word for words in re.findall(r"python /left_out\.py ([a-z ]+)", text) for word in words.split()}
        assert named == {part.package for part in parts(LIST.read_text())}


def test_the_lock_has_the_libraries_of_each_layer() -> None:
    """The first two layers take lines out of the lock: a name that is no longer there would empty a layer."""
    lock = (ROOT / "requirements" / "trainer.txt").read_text()
    for name in ("cudnn", "cusparselt", "nccl", "nvshmem", "cublas", "cusolver"):
        assert re.search(rf"^nvidia-{name}\b", lock, re.MULTILINE)
