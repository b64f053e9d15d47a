"""Which operations are ours, as the stage that LocalStack runs is composed: a new one needs a case in a test."""

import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import botocore.session
from botocore import xform_name

from stagemaker.api.operation import find
from stagemaker.app import Stage
from stagemaker.registry.ecr import Ecr
from stagemaker.runtime.fake import FakeRuntime
from stagemaker.settings import Settings


@cache
def own_operations() -> dict[str, list[str]]:
    """By service."""
    with TemporaryDirectory() as folder:
        settings = Settings(process=None, docker=None, work_dir=Path(folder, "work"), gateway_url="http://127.0.0.1:1")
        stage = Stage(settings, FakeRuntime({}), Ecr(None, "127.0.0.1", time.time, b""))
        stage.close()
    session = botocore.session.get_session()
    return {
        name: [
            operation
            for operation in session.get_service_model(name).operation_names
            if find(services, xform_name(operation))
        ]
        for name, services in stage.services.items()
    }
