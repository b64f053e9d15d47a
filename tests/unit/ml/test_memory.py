"""The memory that is free is the least of what the machine and the control group leave."""

from pathlib import Path

import pytest

from ml.memory import free_memory_bytes


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 4_096_000), ("9000000", 4_096_000), ("3000000", 2_500_000), ("400000", 0)]
)
def test_free_memory(tmp_path: Path, limit: str, free: int) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("1500000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 1000000\n")
    assert free_memory_bytes(tmp_path, tmp_path / "meminfo") == free


def test_a_system_that_does_not_say_gives_no_room(tmp_path: Path) -> None:
    assert free_memory_bytes(tmp_path, tmp_path / "meminfo") == 0
    (tmp_path / "meminfo").write_text("MemAvailable: 5 kB\n")
    assert free_memory_bytes(tmp_path, tmp_path / "meminfo") == 5120
