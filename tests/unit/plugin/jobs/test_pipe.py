"""FIFOs that are really read."""

import os
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stagemaker.core.errors import validation_error
from stagemaker.core.supervisor import Supervisor
from stagemaker.jobs.pipe import BUFFER_BYTES, Pipe
from tests.unit.plugin.polling import until

LARGE = bytes(range(256)) * 8192  # more than a pipe holds


@contextmanager
def piped(folder: Path, epoch: Callable[[int], Generator[bytes]]) -> Iterator[Pipe]:
    """A pipe for the channel `c`; no thread of it is left."""
    supervisor = Supervisor()
    with closing(Pipe(folder, "c", epoch, supervisor)) as pipe:
        yield pipe
    assert supervisor.threads() == []


def numbered(number: int) -> Generator[bytes]:
    yield f"epoch {number} ".encode()
    yield LARGE


def endless(number: int) -> Generator[bytes]:
    while True:
        yield LARGE


def read(folder: Path, number: int) -> bytes:
    path = folder / f"c_{number}"
    until(path.exists, f"the FIFO {path.name}")
    return path.read_bytes()


def test_each_epoch_has_a_fifo_of_its_own(tmp_path: Path) -> None:
    with piped(tmp_path, numbered):
        assert stat.S_ISFIFO((tmp_path / "c_0").stat().st_mode)
        assert stat.S_IMODE((tmp_path / "c_0").stat().st_mode) == 0o666
        for number in range(3):
            assert read(tmp_path, number) == f"epoch {number} ".encode() + LARGE
        until((tmp_path / "c_3").exists, "the next FIFO")
        assert [path.name for path in tmp_path.iterdir()] == ["c_3"]


def test_a_reader_may_close_early(tmp_path: Path) -> None:
    closed = threading.Event()

    def epoch(number: int) -> Generator[bytes]:
        try:
            yield from endless(number) if number == 0 else numbered(number)
        finally:
            closed.set()

    with piped(tmp_path, epoch):
        with (tmp_path / "c_0").open("rb", buffering=0) as file:
            assert file.read(3) == LARGE[:3]
        assert closed.wait(20)
        assert read(tmp_path, 1) == b"epoch 1 " + LARGE


def test_an_empty_epoch_ends_at_once(tmp_path: Path) -> None:
    with piped(tmp_path, lambda _: (chunk for chunk in list[bytes]())):
        assert read(tmp_path, 0) == read(tmp_path, 1) == b""


def test_little_is_read_ahead(tmp_path: Path) -> None:
    given = 0

    def epoch(number: int) -> Generator[bytes]:
        nonlocal given
        while True:
            given += 4096
            yield bytes(4096)

    with piped(tmp_path, epoch):
        reader = os.open(tmp_path / "c_0", os.O_RDONLY)
        os.read(reader, 1)
        until(lambda: given > BUFFER_BYTES, "a full pipe")
        before = given
        time.sleep(0.1)
        assert before == given < BUFFER_BYTES + 3 * 4096
    os.close(reader)


def test_it_ends_without_a_reader(tmp_path: Path) -> None:
    with piped(tmp_path, numbered) as pipe:
        pass
    assert pipe.problem is None


def test_it_ends_while_its_reader_does_not_read(tmp_path: Path) -> None:
    with piped(tmp_path, endless):
        reader = os.open(tmp_path / "c_0", os.O_RDONLY)
        assert os.read(reader, 3) == LARGE[:3]
    os.close(reader)


def test_what_goes_wrong_is_told_and_the_reader_gets_no_end(tmp_path: Path) -> None:
    def breaks(number: int) -> Generator[bytes]:
        yield b"half"
        raise validation_error("The object is gone.")

    with piped(tmp_path, breaks) as pipe:
        reader = os.open(tmp_path / "c_0", os.O_RDONLY)
        assert os.read(reader, 100) == b"half"
        until(lambda: pipe.problem is not None, "the problem")
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 100)
    assert str(pipe.problem) == "ValidationException: The object is gone."
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_link_of_the_program_leads_nowhere(tmp_path: Path) -> None:
    folder, other = tmp_path / "data", tmp_path / "other"
    folder.mkdir()
    other.write_text("ours")
    with piped(folder, numbered) as pipe:
        (folder / "c_0").unlink()
        (folder / "c_0").symlink_to(other)
        until(lambda: pipe.problem is not None, "the problem")
    assert other.read_text() == "ours"
    assert isinstance(pipe.problem, OSError)


def test_a_program_that_takes_the_next_name_is_told(tmp_path: Path) -> None:
    with piped(tmp_path, numbered) as pipe:
        (tmp_path / "c_1").write_text("mine")
        assert read(tmp_path, 0) == b"epoch 0 " + LARGE
        until(lambda: pipe.problem is not None, "the problem")
    assert isinstance(pipe.problem, FileExistsError)
