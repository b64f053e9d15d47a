"""LocalStacks and an image for all contract tests that need one: they take seconds to make."""

from collections.abc import Iterator

import pytest

from tests.contract.docker_image import built
from tests.contract.gateway import Gateway, make_bucket, make_role, running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With the bucket `data`, whose prefix `train` holds two files."""
    with running(tmp_path_factory.mktemp("gateway")) as started:
        make_bucket(started, "data", {"train/cat/1.txt": b"cat", "train/dog/2.txt": b"dog"})
        yield started


@pytest.fixture(scope="session")
def strict_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Like `gateway`, but it enforces IAM. Its own clients are the root user of their account."""
    root_keys = "AKIALAB:lab/secret+1:111122223333"
    with running(tmp_path_factory.mktemp("strict"), STAGEMAKER_IAM="strict", STAGEMAKER_ROOT_KEYS=root_keys) as started:
        make_bucket(started, "data", {"train/cat/1.txt": b"cat", "train/dog/2.txt": b"dog"})
        yield started


@pytest.fixture(scope="session")
def role(gateway: Gateway) -> str:
    """The ARN of a role for SageMaker."""
    return make_role(gateway, "stage")


@pytest.fixture(scope="session")
def docker_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image whose programs run the environment's SOURCE; skips where there is no Docker engine."""
    with built(tmp_path_factory.mktemp("image")) as name:
        yield name
