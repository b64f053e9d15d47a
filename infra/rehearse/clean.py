"""The end: all that was made is deleted, and nothing is left."""

import time

from infra import engine
from infra.deployment import existing
from infra.errors import StepFailed
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section
from infra.remains import of_project


def play(rehearsal: Rehearsal) -> Section:
    """Delete all of the project. Raises StepFailed when something is left."""
    clients, blueprint, terminal = rehearsal.clients, rehearsal.deployment.blueprint, rehearsal.terminal
    began = time.monotonic()
    count = engine.destroy(existing(clients, blueprint, terminal), terminal.say)
    took_s = time.monotonic() - began
    left = [step.name for step in engine.plan_destroy(existing(clients, blueprint, terminal)).steps]
    left += of_project(clients, blueprint.settings.project)
    if left:
        raise StepFailed(f"{len(left)} resources are left: {', '.join(left)}.", "Please report this.")
    told = f"{count} resources deleted in {took_s:.0f} s; nothing of the project is left."
    return Section("Clean-up", (told,), here={"clean_up": f"`make destroy`: {told}"})
