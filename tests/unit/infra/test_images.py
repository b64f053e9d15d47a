"""What `make push` decides before it pushes, and what it says where there is no Docker."""

from pathlib import Path
from typing import Any

import pytest

from infra import images, manifests
from infra.cli import main
from infra.errors import StepFailed


def image(revision: str | None = "abc1234", **changes: Any) -> dict[str, Any]:
    labels = {"org.opencontainers.image.revision": revision} if revision is not None else None
    found = {"Id": "sha256:" + "0123456789abcdef" * 4, "Os": "linux", "Architecture": "amd64"}
    return {**found, "Config": {"Labels": labels}, **changes}


def test_an_image_is_tagged_by_its_commit() -> None:
    assert images.tag_of(image(), dirty=False) == "abc1234"
    assert images.tag_of(image(), dirty=True) == "abc1234"


@pytest.mark.parametrize(
    ("revision", "tag"),
    [
        ("abc1234-dirty", "abc1234-dirty-01234567"),
        ("unknown", "unknown-01234567"),
        ("latest", "unknown-01234567"),
        ("a/b", "unknown-01234567"),
        ("", "unknown-01234567"),
        (None, "unknown-01234567"),
    ],
)
def test_an_image_of_no_commit_is_pushed_only_when_told_and_its_tag_says_so(revision: str | None, tag: str) -> None:
    with pytest.raises(StepFailed, match="built from files that are in no commit"):
        images.tag_of(image(revision), dirty=False)
    assert images.tag_of(image(revision), dirty=True) == tag


def checked(**changes: Any) -> images.LocalImage:
    return images.checked("serve", "stagemaker/serve:latest", image(**changes), "amd64", dirty=False)


def test_an_image_of_another_architecture_is_refused_with_the_command_that_mends_it() -> None:
    with pytest.raises(StepFailed, match="an image for linux/arm64, and linux/amd64 is needed") as caught:
        checked(Architecture="arm64")
    assert caught.value.next_step == "Build it: ARCHITECTURE=amd64 scripts/build serve"


def test_what_is_not_docker_s_here_is_said_before_it_is_sent() -> None:
    assert checked().remark == ""
    assert checked(Descriptor={"mediaType": manifests.SCHEMA_2}).remark == ""
    said = checked(Descriptor={"mediaType": manifests.OCI_MANIFEST}).remark
    assert "ECR gets its image for linux/amd64 with Docker's manifest." in said
    assert "`scripts/build serve` makes it so" in checked(Descriptor={"mediaType": manifests.INDEXES[0]}).remark


def test_without_docker_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["push"]) == 1
    said = capsys.readouterr().out
    assert "Failed: The command `docker` was not found." in said
    assert "Next: Start or install Docker" in said
