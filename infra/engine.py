"""Brings resources to what is wanted: in which order, what would change (the plan), and the changes themselves.

The plan and the deployment decide by the same pure function, each from what it has just read: so a plan says what a
deployment would do, and a deployment never relies on an old plan. Nothing is written down between two deployments, and
none locks out another: what is there is always read from AWS.
"""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from infra import parallel
from infra.errors import StepFailed
from infra.parallel import Task
from infra.patience import unless
from infra.resources.resource import Change, Resource, State, error_code
from infra.terminal import Terminal
from infra.wait import poll

Action = Literal["create", "update", "replace", "unchanged", "delete"]
CHANGING: tuple[Action, ...] = ("create", "update", "replace", "delete")
DONE: dict[Action, str] = {
    "create": "created", "update": "updated", "replace": "replaced", "unchanged": "unchanged", "delete": "deleted",
}  # fmt: skip

# What AWS answers while something else still uses the resource, or is changing it.
HELD = {
    "BucketNotEmpty", "ConcurrentModification", "ConflictException", "DeleteConflict", "DependencyViolation",
    "OperationAborted", "ResourceConflictException", "ResourceInUse", "ResourceInUseException",
}  # fmt: skip
HELD_PAUSE_S = 5.0  # (ours) between two tries, at most
_DECISIONS = 3  # about one resource, when another deployment changes it meanwhile


@dataclass(frozen=True)
class Step:
    """What is to be done with one resource. `changes` are the reasons; `after` are the titles of those that it depends
    on and that change before it."""

    title: str
    name: str
    action: Action
    changes: tuple[Change, ...] = ()
    after: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For the reader: the step, and each change below it."""
        after = f" (after: {', '.join(self.after)})" if self.after else ""
        return [f"{self.action:9}  {self.title}: {self.name}{after}", *(f"{'':13}{change}" for change in self.changes)]


@dataclass(frozen=True)
class Plan:
    """What a deployment or a destruction would change, in its order."""

    steps: tuple[Step, ...]

    def lines(self) -> list[str]:
        """For the reader: every step, and how many there are of each kind."""
        actions = [step.action for step in self.steps]
        counts = [f"{actions.count(action)} to {action}" for action in CHANGING if action in actions]
        if counts and "unchanged" in actions:
            counts.append(f"{actions.count('unchanged')} unchanged")
        total = f"{', '.join(counts)}." if counts else "Nothing would change."
        return [*(line for step in self.steps for line in step.lines()), total]


def order(resources: Iterable[Resource]) -> list[Resource]:
    """Each after all that it depends on, else as they are given. What it depends on need not be among them. Raises
    ValueError for a circle."""
    waiting, placed = list(resources), list[Resource]()
    while waiting:
        blocking = {one.title for one in waiting}
        free = next((one for one in waiting if not blocking & set(one.depends_on)), None)
        if free is None:
            raise ValueError(f"these depend on each other: {', '.join(sorted(blocking))}")
        waiting.remove(free)
        placed.append(free)
    return placed


def needed_for(wanted: Iterable[str], resources: Iterable[Resource]) -> list[Resource]:
    """The resources of the titles `wanted` and all that they depend on, as they are given."""
    given = list(resources)
    titles, waiting = set[str](), set(wanted)
    while waiting:
        titles |= waiting
        waiting = {needed for one in given if one.title in waiting for needed in one.depends_on} - titles
    return [one for one in given if one.title in titles]


def decide(resource: Resource, state: State | None, changed: Iterable[str] = ()) -> Step | None:
    """What is to be done with a resource that is in this state; `changed` are the titles that change before it. None
    for one that is neither wanted nor there."""
    if not resource.is_wanted:
        return None if state is None else Step(resource.title, resource.name, "delete")
    after = tuple(title for title in resource.depends_on if title in set(changed))
    if state is None:
        return Step(resource.title, resource.name, "create", after=after)
    changes = tuple(resource.diff(state))
    action: Action = "unchanged"
    if changes:
        action = "replace" if any(change.replaces for change in changes) else "update"
    return Step(resource.title, resource.name, action, changes, after if changes else ())


def titles_left(resources: Iterable[Resource], done: Container[str]) -> list[str]:
    """The titles of the steps that are left of an `apply`, in its order, when those of `done` are done."""
    return [one.title for one in order(resources) if one.is_wanted and one.title not in done]


def plan(resources: Iterable[Resource]) -> Plan:
    """What `apply` would do. Reads every resource, and changes none."""
    steps = list[Step]()
    for resource in _in_turn(resources):
        changed = [step.title for step in steps if step.action in CHANGING]
        if step := decide(resource, resource.read(), changed):
            steps.append(step)
    return Plan(tuple(steps))


def plan_destroy(resources: Iterable[Resource]) -> Plan:
    """What `destroy` would delete. Reads every resource, and changes none."""
    there = (one for one in reversed(order(resources)) if one.read() is not None)
    return Plan(tuple(Step(one.title, one.name, "delete") for one in there))


def apply_one(resource: Resource) -> tuple[Action, str]:
    """Read one resource and make it as it is wanted; what was done, and the resource's remark.

    Another deployment may make the same at the same moment. Then AWS refuses a call since the resource is there already
    or is changing: so after a refusal the resource is read once more, and if it is not as it was, the rest is decided
    anew. What another has made meanwhile is taken as made: its name stands for its content, or `diff` finds what is
    missing."""
    state = resource.read()
    for _ in range(_DECISIONS - 1):
        try:
            return _bring(resource, state)
        except ClientError:
            now = resource.read()
            if _content(now) == _content(state):
                raise
            state = now
    return _bring(resource, state)


def _bring(resource: Resource, state: State | None) -> tuple[Action, str]:
    step = decide(resource, state)
    if step is None:
        return "unchanged", ""
    if step.action == "delete":
        _delete(resource)
        return step.action, ""
    if state is None:
        return step.action, resource.create()
    if step.action == "unchanged":
        return step.action, resource.remark(state)
    if step.action == "replace":
        _delete(resource)
        return step.action, resource.create()
    return step.action, resource.update(state, list(step.changes))


def _content(state: State | None) -> State | None:
    """Without what is of the answer alone."""
    return None if state is None else {key: value for key, value in state.items() if key != "ResponseMetadata"}


def _delete(resource: Resource) -> None:
    """Delete it, once AWS lets go of it; one that another deletes meanwhile is deleted, too."""
    deadline = time.monotonic() + resource.held_limit_s
    while True:
        try:
            return resource.delete()
        except ClientError as error:
            if resource.read() is None:
                return None
            if error_code(error) not in HELD or time.monotonic() > deadline:
                raise
            poll(HELD_PAUSE_S, f"what AWS still holds: {error.response['Error'].get('Message', error_code(error))}")


def apply(resources: Iterable[Resource], terminal: Terminal) -> list[Action]:
    """Make every resource as it is wanted, several at once, each after those that it depends on; what was done with
    each, in the order of the plan. What is not wanted any more is deleted at the end.

    When a step fails, no other begins, and those that run end with their next wait; then its exception is raised, or
    an ExceptionGroup of several; a StepFailed where what it needs was deleted meanwhile. A second call goes on from
    there."""
    placed = _in_turn(resources)
    wanted = [one for one in placed if one.is_wanted]
    actions: dict[int, Action] = {}

    def bring(index: int) -> None:
        resource = placed[index]
        unwanted = None if resource.is_wanted else resource.read()
        if not resource.is_wanted and unwanted is None:
            return
        with terminal.step(resource.title) as done:
            if resource.is_wanted:
                with _needing(resource, [placed[before] for before in made_after[index]]):
                    action, remark = apply_one(resource)
            else:
                action, remark = _bring(resource, unwanted)
            done.result = f"{DONE[action]}: {resource.name}" + (f" ({remark})" if remark else "")
        actions[index] = action

    made_after, deleted_after = _after(wanted), _after(placed[len(wanted) :], reverse=True)
    all_made = frozenset(range(len(wanted)))
    deleted_after = [all_made | {index + len(wanted) for index in after} for after in deleted_after]
    parallel.run([
        Task(partial(bring, index), after, terminal.line) for index, after in enumerate([*made_after, *deleted_after])
    ])  # fmt: skip
    return [actions[index] for index in sorted(actions)]


@contextmanager
def _needing(resource: Resource, needed: Sequence[Resource]) -> Iterator[None]:
    """Where some of what it needs, which was there, is there no more, wait for nothing, and say so: AWS's words do
    not."""

    def gone() -> list[Resource]:
        try:
            return [one for one in needed if one.read() is None]
        except (BotoCoreError, ClientError, StepFailed):
            return []  # nothing is known: what the step says stays

    try:
        with unless(lambda: bool(gone())):
            yield
    except (ClientError, StepFailed) as error:
        found = gone()
        if not found:
            raise
        names = ", ".join(f"{one.title[0].lower()}{one.title[1:]} {one.name}" for one in found)
        raise StepFailed(
            f"{resource.title}: {error} What it needs was deleted meanwhile: {names}.",
            "Does a destruction of the project run? Wait for its end. Then run this again, or `destroy`.",
        ) from error


def _in_turn(resources: Iterable[Resource]) -> list[Resource]:
    """Those that are wanted in their order, then the others in the reverse of theirs."""
    ordered = order(resources)
    wanted = [one for one in ordered if one.is_wanted]
    return [*wanted, *(one for one in reversed(ordered) if not one.is_wanted)]


def _after(placed: Sequence[Resource], *, reverse: bool = False) -> list[frozenset[int]]:
    """For each of them, in the order of `order`, which others must be made before it; with `reverse`, in the reverse of
    that order, which must be deleted before it. Two that are one resource of AWS, such as the training job of two
    models that are trained alike, come one after the other."""

    def needs(one: Resource, other: Resource) -> bool:
        return other.title in one.depends_on

    return [
        frozenset(
            before
            for before in range(index)
            if (needs(placed[before], one) if reverse else needs(one, placed[before]))
            or (type(placed[before]), placed[before].name) == (type(one), one.name)
        )
        for index, one in enumerate(placed)
    ]


def destroy(resources: Iterable[Resource], say: Callable[[str], None]) -> int:
    """Delete those that are there, several at once, each after those that depend on it; how many.

    Where one cannot be deleted, what it depends on stays, and all else is deleted; then its exception is raised, or an
    ExceptionGroup of several. A second call goes on from there."""
    placed = list(reversed(order(resources)))
    deleted = SimpleQueue[str]()

    def delete(resource: Resource) -> None:
        if resource.read() is not None:
            _delete(resource)
            deleted.put(resource.name)
            say(f"deleted: {resource.title[0].lower()}{resource.title[1:]} {resource.name}")

    def told(resource: Resource) -> Callable[[str], None]:
        return lambda text: say(f"{resource.title} {resource.name} {text}")

    after = _after(placed, reverse=True)
    tasks = [Task(partial(delete, one), after[index], told(one)) for index, one in enumerate(placed)]
    parallel.run(tasks, goes_on=True)
    return deleted.qsize()
