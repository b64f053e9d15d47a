"""The policies that the run needed, as the recorder saw it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra import policy
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section, Table

ROLES = ("training", "hosting", "lambda", "ec2")
CALLER = "caller"
FINGERPRINT = 10  # characters


def play(rehearsal: Rehearsal) -> Section:
    """Ask the recorder about each role, and about the caller, and write their policies into the folder `policies`."""
    blueprint, clients = rehearsal.deployment.blueprint, rehearsal.clients
    made = f"{blueprint.settings.project}-{'?' * FINGERPRINT}"  # names that each run makes anew
    groups = (made, f"{made}-*")
    seen = policy.ask(clients)["Principals"]
    arns = {name: blueprint.role_arn(name) for name in ROLES}
    arns[CALLER] = policy.find_principal(seen, policy.ROOT, clients.account, lambda _: True)
    reports = {name: policy.ask(clients, Principal=arn, Group=groups) for name, arn in arns.items() if arn in seen}
    folder = rehearsal.folder / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, report in reports.items():
        (folder / f"{name}.json").write_text(json.dumps(report["Policy"], indent=2) + "\n")
    return section(reports, rehearsal.dataset.classes)


def section(reports: Mapping[str, Any], classes: Sequence[str]) -> Section:
    """A table for each role, in which the folders of the classes are one; the caller's policy, which is long, is in its
    file alone."""
    sizes = ", ".join(f"{name} {len(report['Policy']['Statement'])}" for name, report in reports.items())
    told = (
        f"The smallest policies that allow what was done, by statements: {sizes}. They are in the folder policies "
        "beside this page, with that of the caller, who deployed, loaded and deleted."
    )
    tables = [
        Table(
            ("Actions", "Resources"),
            tuple(
                ("\n".join(_listed(one["Action"])), "\n".join(_without_classes(_listed(one["Resource"]), classes)))
                for one in report["Policy"]["Statement"]
            ),
            f"Role {name}",
        )
        for name, report in reports.items()
        if name != CALLER
    ]
    return Section("The policies that the run needed", (told,), tuple(tables))


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _without_classes(resources: Sequence[str], classes: Sequence[str]) -> list[str]:
    """`.../train/<class>/*` once in place of each class."""
    known = set(classes)
    return list(
        dict.fromkeys("/".join("<class>" if part in known else part for part in arn.split("/")) for arn in resources)
    )
