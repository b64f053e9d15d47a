"""A pretended AWS for the tests of this folder: a strict LocalStack behind AWS's own host names."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.backends import Server
from tests.aws.broken_off import Project
from tests.aws.deploys import PRESET, make_digits, pushed_images
from tests.aws.pretended_aws import Keys, PretendedAws, pretending
from tests.contract.gateway import Gateway, running
from tests.contract.users import allow, make_user

AWS_HOSTS = "amazonaws.com,amazonaws.com.cn,api.aws"


@pytest.fixture(scope="session")
def aws_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A LocalStack that enforces IAM, and answers to AWS's names."""
    folder = tmp_path_factory.mktemp("aws")
    with running(folder, STAGEMAKER_IAM="strict", STAGEMAKER_HOSTS=AWS_HOSTS) as started:
        yield started


@pytest.fixture(scope="session")
def aws(aws_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PretendedAws]:
    """AWS, whose clients are a user who may do everything."""
    user = make_user(aws_gateway, allow("*"))
    keys = Keys(user.access_key_id, user.secret)
    with pretending(Server(aws_gateway.url), tmp_path_factory.mktemp("proxy"), keys) as started:
        yield started


@pytest.fixture
def images(aws: PretendedAws) -> Iterator[None]:
    """The account's registry has what a deployment runs."""
    with pushed_images(aws, "trainer", "serve"):
        yield


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 pictures of each of two classes."""
    return make_digits(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture
def project(aws: PretendedAws, images: None, small_digits: Path, tmp_path: Path) -> Project:
    """A project that nothing is deployed of."""
    preset = tmp_path / "mine.toml"
    preset.write_text(PRESET)
    return Project(aws, f"d{uuid.uuid4().hex[:8]}", small_digits, preset)
