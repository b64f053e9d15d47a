"""Whose a resource is. A deployment finds what it made by name and tag: what has one of its names, but not the tag of
its project, was made by somebody else, and is neither changed nor deleted."""

from collections.abc import Callable, Iterable, Mapping

from infra.blueprint import PROJECT_TAG
from infra.errors import StepFailed
from infra.resources.resource import Resource


class NotOurs(StepFailed):
    """A resource has a name of ours, and is somebody else's."""


def check(title: str, name: str, tags: Iterable[Mapping[str, str]], ours: Iterable[Mapping[str, str]]) -> None:
    """Raise NotOurs unless `tags`, which the resource has, name the project that `ours`, a deployment's, name. Tags are
    as AWS lists them, with Key and Value."""
    project = _project(ours)
    found = _project(tags)
    if found == project:
        return
    whose = f"it is of the project {found}" if found else f"it has no tag {PROJECT_TAG}"
    raise NotOurs(
        f"The {title[0].lower()}{title[1:]} {name} is there already, and is not of the project {project}: {whose}.",
        f"Choose another --project. If it is yours to change and to delete, give it the tag {PROJECT_TAG}={project}.",
    )


def ours(resources: list[Resource], say: Callable[[str], None]) -> list[Resource]:
    """The resources, the first of which holds the others, as a bucket holds photos; none of them when the first is
    somebody else's, which `say` is told."""
    try:
        resources[0].read()
    except NotOurs as error:
        say(f"Left alone: {error.reason}")
        return []
    return resources


def _project(tags: Iterable[Mapping[str, str]]) -> str | None:
    return next((tag["Value"] for tag in tags if tag["Key"] == PROJECT_TAG), None)
