"""Calls of the function in the system's own form: the answer, and how long a cold and a warm one take."""

import base64
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra import proof
from infra.blueprint import ALIAS
from infra.data.dataset import Photo
from infra.deployment import Deployment
from infra.errors import StepFailed
from infra.rehearse.rehearsal import Rehearsal, as_json
from infra.rehearse.section import Section, Table
from infra.settings import FunctionSettings

_INIT = re.compile(r"Init Duration: ([0-9.]+) ms")
LATEST = "$LATEST"


@dataclass(frozen=True)
class Call:
    """A call of the function with its answer, in milliseconds. `init_ms` is how long a new environment took to
    initialise, as the REPORT line says it, None where an environment was there."""

    what: str
    event: Any
    answer: Any
    took_ms: float
    init_ms: float | None


def ask(deployment: Deployment, photo: Photo, qualifier: str = ALIAS, what: str = "") -> Call:
    """Call the function for a photo in S3."""
    event = proof.event_of(deployment, photo)
    began = time.monotonic()
    reply = deployment.clients.lambda_.invoke(
        FunctionName=deployment.blueprint.function, Qualifier=qualifier, Payload=json.dumps(event), LogType="Tail"
    )
    answer = json.loads(reply["Payload"].read())
    took_ms = 1000 * (time.monotonic() - began)
    log = base64.b64decode(reply.get("LogResult", "")).decode(errors="replace")
    found = _INIT.search(log)
    return Call(what, event, answer, took_ms, float(found[1]) if found else None)


def play(rehearsal: Rehearsal) -> Section:
    """Two calls of $LATEST and two of the alias, which nobody called before. Raises StepFailed for a wrong answer."""
    deployment, photo = rehearsal.deployment, rehearsal.photo
    settings = deployment.blueprint.settings.function
    first = f"{settings.provisioned} environments wait warm" if settings.provisioned else "cold"
    calls = [
        ask(deployment, photo, LATEST, f"{LATEST}, first call: cold"),
        ask(deployment, photo, LATEST, f"{LATEST}, second call: warm"),
        ask(deployment, photo, ALIAS, f"{ALIAS}, first call: {first}"),
        ask(deployment, photo, ALIAS, f"{ALIAS}, second call: warm"),
    ]
    classes = rehearsal.dataset.classes
    try:
        label = classes[proof.class_number(settings.system, calls[-1].answer)]
    except (ValueError, TypeError, KeyError, IndexError):
        raise StepFailed(f"The function answered {as_json(calls[-1].answer)}", "Read its log above.") from None
    for call in calls:
        rehearsal.terminal.say(f"{call.what}: {call.took_ms:.0f} ms")
    return section(calls, settings, f"The photo is of {photo.label}; the answer means {label}.")


def section(calls: Sequence[Call], settings: FunctionSettings, meaning: str) -> Section:
    """The event and the answer of the last call, and the times of all: the first call of $LATEST comes first, and that
    of the alias last but one."""
    last, latest_ms, alias_ms = calls[-1], calls[0].took_ms, calls[-2].took_ms
    rows = tuple((call.what, f"{call.took_ms:.0f}", _init(call)) for call in calls)
    reserved = "" if settings.reserved is None else f"{settings.reserved} reserved"
    provisioned = f"{settings.provisioned} provisioned on version and alias {ALIAS}" if settings.provisioned else ""
    concurrency = ", ".join(part for part in (reserved, provisioned) if part) or "what the account has left"
    code = f"event:\n{as_json(last.event)}\n\nanswer:\n{as_json(last.answer)}"
    return Section(
        f"The function, in the form of system {settings.system}",
        (f"{meaning} The photo is named by its place in S3, not by a web address.",),
        (Table(("Call", "Milliseconds", "Of these, to initialise"), rows, "Cold and warm"),),
        code=code,
        here={
            "function": f"the event {json.dumps(last.event)}; {last.took_ms:.0f} ms a prediction",
            "concurrency": f"{concurrency}; first call of {LATEST} {latest_ms:.0f} ms, of {ALIAS} {alias_ms:.0f} ms",
        },
    )


def _init(call: Call) -> str:
    return "none" if call.init_ms is None else f"{call.init_ms:.0f}"
