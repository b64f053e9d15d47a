"""Brings resources to what is wanted: in which order, what would change (the plan), and the changes themselves.

The plan and the deployment decide by the same pure function, each from what it has just read: so a plan says what a
deployment would do, and a deployment never relies on an old plan.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from infra.resources.resource import Change, Resource, State
from infra.terminal import Terminal

Action = Literal["create", "update", "replace", "unchanged", "delete"]
CHANGING: tuple[Action, ...] = ("create", "update", "replace", "delete")
DONE: dict[Action, str] = {
    "create": "created", "update": "updated", "replace": "replaced", "unchanged": "unchanged", "delete": "deleted",
}  # fmt: skip


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
    """Read one resource and make it as it is wanted; what was done, and the resource's remark."""
    state = resource.read()
    step = decide(resource, state)
    if step is None:
        return "unchanged", ""
    if step.action == "delete":
        resource.delete()
        return step.action, ""
    if state is None:
        return step.action, resource.create()
    if step.action == "unchanged":
        return step.action, resource.remark(state)
    if step.action == "replace":
        resource.delete()
        return step.action, resource.create()
    return step.action, resource.update(state, list(step.changes))


def apply(resources: Iterable[Resource], terminal: Terminal) -> list[Action]:
    """Make every resource as it is wanted, in order; what was done with each. Stops at the first that raises; a second
    call goes on from there."""
    actions = list[Action]()
    for resource in _in_turn(resources):
        if not resource.is_wanted and resource.read() is None:
            continue
        with terminal.step(resource.title) as done:
            action, remark = apply_one(resource)
            done.result = f"{DONE[action]}: {resource.name}" + (f" ({remark})" if remark else "")
        actions.append(action)
    return actions


def _in_turn(resources: Iterable[Resource]) -> list[Resource]:
    """Those that are wanted in their order, then the others in the reverse of theirs."""
    ordered = order(resources)
    wanted = [one for one in ordered if one.is_wanted]
    return [*wanted, *(one for one in reversed(ordered) if not one.is_wanted)]


def destroy(resources: Iterable[Resource], say: Callable[[str], None]) -> int:
    """Delete those that are there, in the reverse of the order in which they are made; how many. A second call goes on
    where a first one failed."""
    count = 0
    for resource in reversed(order(resources)):
        if resource.read() is not None:
            resource.delete()
            say(f"deleted: {resource.title[0].lower()}{resource.title[1:]} {resource.name}")
            count += 1
    return count
