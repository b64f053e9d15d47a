"""A real LocalStack with this repository's images as processes, for the notebook: an hour of scaling takes a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.localstack_process import LocalStack, running_localstack


@contextmanager
def running(folder: Path) -> Iterator[LocalStack]:
    """LocalStack, from its start to its orderly end. It refuses what IAM does not allow."""
    settings = {"STAGEMAKER_IAM": "strict", "STAGEMAKER_TIME_COMPRESSION": "60", "DEBUG": "0"}
    with running_localstack(folder, **settings) as started:
        yield started
