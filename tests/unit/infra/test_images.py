"""What `make push` decides before it pushes, and what it says where there is no Docker."""

from pathlib import Path
from typing import Any

import pytest

from infra import images
from infra.cli import main


def image(**labels: str) -> dict[str, Any]:
    return {"Config": {"Labels": labels or None}}


@pytest.mark.parametrize(
    ("revision", "tags"),
    [
        ("abc1234", ("abc1234", "latest")),
        ("abc1234-dirty", ("abc1234-dirty", "latest")),
        ("unknown", ("latest",)),
        ("latest", ("latest",)),
        ("a/b", ("latest",)),
        ("", ("latest",)),
    ],
)
def test_an_image_is_tagged_by_its_revision(revision: str, tags: tuple[str, ...]) -> None:
    assert images.tags_of(image(**{"org.opencontainers.image.revision": revision})) == tags


def test_an_image_without_labels_has_only_latest() -> None:
    assert images.tags_of(image()) == ("latest",)


def test_without_docker_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["push"]) == 1
    said = capsys.readouterr().out
    assert "Failed: The command `docker` was not found." in said
    assert "Next: Start or install Docker" in said
