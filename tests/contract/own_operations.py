"""Which operations are ours, as the stage that LocalStack runs is composed: a new one needs a case in a test."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stagemaker.api.operation import Service
from stagemaker.app import App
from stagemaker.runtime.fake import FakeRuntime
from stagemaker.settings import Settings


def own_services() -> dict[str, Service]:
    """The services that are ours."""
    return _app().services


def shared_services() -> dict[str, Service]:
    """The services of which we answer some operations and LocalStack the rest."""
    return _app().shared_services


@cache
def _app() -> App:
    """The stage, closed."""
    with TemporaryDirectory() as folder:
        settings = Settings(process=None, docker=None, work_dir=Path(folder, "work"), gateway_url="http://127.0.0.1:1")
        app = App(settings, lambda _, supervisor: FakeRuntime({}, supervisor))
        app.close()
    return app


def own_operations() -> dict[str, list[str]]:
    """The names of our operations, by service."""
    return {name: list(service.operations) for name, service in own_services().items()}
