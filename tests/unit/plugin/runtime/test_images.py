"""Names of images as callers of the API write them."""

import pytest

from stagemaker.runtime.images import by_digest, image_name, needs_docker, resolved

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    "reference",
    [
        "stagemaker/serve",
        "stagemaker/serve:1.2",
        "localhost:5000/stagemaker/serve",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/stagemaker/serve:latest",
        f"registry/team/stagemaker/serve:1@sha256:{'a' * 64}",
    ],
)
def test_ours(reference: str) -> None:
    assert image_name(reference) == "serve"


@pytest.mark.parametrize("reference", ["", "serve", "stagemaker", "stagemaker/", "stagemaker/..", "stagemaker/serve/x"])
def test_not_ours(reference: str) -> None:
    assert image_name(reference) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("repo", "repo"),
        ("repo:tag", "repo"),
        ("team/repo:tag", "team/repo"),
        ("localhost:5000/repo", "localhost:5000/repo"),
        ("localhost:5000/repo:tag", "localhost:5000/repo"),
        (f"localhost:5000/team/repo@sha256:{'b' * 64}", "localhost:5000/team/repo"),
        ("000000000000.dkr.ecr.eu-west-1.amazonaws.com/repo:1.0", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/repo"),
    ],
)
def test_an_image_by_its_digest(uri: str, expected: str) -> None:
    assert by_digest(uri, DIGEST) == f"{expected}@{DIGEST}"


def test_a_resolved_image_has_the_name_and_the_digest() -> None:
    assert resolved("team/repo:tag", f"localhost:5000/team/repo@{DIGEST}") == f"team/repo@{DIGEST}"
    assert resolved("team/repo:tag", DIGEST) == f"team/repo@{DIGEST}"
    assert resolved("team/repo:tag", "team/repo:tag") == "team/repo:tag"


def test_the_refusal_is_a_sentence() -> None:
    assert needs_docker("nginx", ["trainer", "serve"]) == (
        "The image 'nginx' needs Docker: the process runtime runs only stagemaker/trainer and stagemaker/serve, "
        "as built from this repository."
    )
