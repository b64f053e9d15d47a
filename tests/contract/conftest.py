"""One LocalStack for all contract tests that need one: it takes seconds to start."""

from collections.abc import Iterator

import pytest

from tests.contract.gateway import Gateway, make_bucket, make_role, running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With the bucket `data`, whose prefix `train` holds two files."""
    with running(tmp_path_factory.mktemp("gateway")) as started:
        make_bucket(started, "data", {"train/cat/1.txt": b"cat", "train/dog/2.txt": b"dog"})
        yield started


@pytest.fixture(scope="session")
def role(gateway: Gateway) -> str:
    """The ARN of a role for SageMaker."""
    return make_role(gateway, "stage")
