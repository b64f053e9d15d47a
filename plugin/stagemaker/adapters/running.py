"""The one App of this process, from LocalStack's start hook to its shutdown hook."""

from stagemaker.app import App
from stagemaker.core.errors import shutting_down

_running: list[App] = []


def current() -> App:
    """The App that runs. ServiceUnavailable (503) where there is none any more, or not yet."""
    if not _running:
        raise shutting_down()
    return _running[0]


def begin(app: App) -> None:
    """Make `app` the current one."""
    _running.append(app)


def end() -> None:
    """Close the App. While it closes, it stays the current one: its parts refuse for themselves."""
    for app in _running:
        app.close()
    _running.clear()
