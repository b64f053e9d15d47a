"""The question before data is lost."""

from collections.abc import Iterable

from infra.errors import StepFailed
from infra.resources.resource import Resource
from infra.terminal import Terminal


def ask(resources: Iterable[Resource], terminal: Terminal, *, agreed: bool, how: str) -> None:
    """Ask whether what holds data may be deleted. Nothing is asked where nothing of the sort is there, or when it is
    `agreed` already. Raises StepFailed when the answer is no, and where there is no terminal to ask at: then `how` says
    what to type."""
    found = [one for one in resources if one.holds and one.read() is not None]
    if not found or agreed:
        return
    lost = "; ".join(f"{one.title[0].lower()}{one.title[1:]} {one.name} with {one.holds}" for one in found)
    if not terminal.can_ask:
        raise StepFailed(f"This would delete for good: {lost}. There is no terminal to ask at.", f"Say so: {how}")
    if not terminal.ask(f"Delete for good: {lost}?"):
        raise StepFailed("Nothing was deleted.", f"To delete without a question: {how}")
