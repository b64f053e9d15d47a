from pathlib import Path

import pytest

from infra.data import digits
from infra.data.dataset import load


def test_all_digits_in_three_splits(tmp_path: Path) -> None:
    found = load(digits.make(tmp_path / "digits"))
    assert len(found.photos) == 1797
    assert found.classes == tuple(f"digit-{n}" for n in range(10))
    shares = [len(found.split(name)) / 1797 for name in ("train", "valid", "test")]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits"]


def test_the_same_on_every_machine(tmp_path: Path) -> None:
    one, two = (load(digits.make(tmp_path / name, per_class=20)).digest for name in ("one", "two"))
    assert one == two


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = digits.make(tmp_path / "digits", per_class=20)
    made = folder.stat().st_mtime_ns
    assert digits.make(folder, per_class=20).stat().st_mtime_ns == made


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "_LEVELS", 0)
    with pytest.raises(ZeroDivisionError):
        digits.make(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []
