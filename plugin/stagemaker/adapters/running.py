"""The one App of this process, from LocalStack's start hook to its shutdown hook."""

from typing import TYPE_CHECKING

from stagemaker.core.errors import shutting_down

if TYPE_CHECKING:  # the server asks whether an App runs, also where it cannot be imported
    from stagemaker.app import App

_running: "list[App]" = []


def current() -> "App":
    """The App that runs. ServiceUnavailable (503) where there is none any more, or not yet."""
    if not _running:
        raise shutting_down()
    return _running[0]


def is_running() -> bool:
    """Whether there is a current App."""
    return bool(_running)


def begin(app: "App") -> None:
    """Make `app` the current one."""
    _running.append(app)


def end() -> None:
    """Close the App. While it closes, it stays the current one: its parts refuse for themselves."""
    for app in _running:
        app.close()
    _running.clear()
