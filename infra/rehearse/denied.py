"""The call that IAM denies, before the function's role has its policy, and the same call with it."""

import json
from typing import Any

from infra import engine
from infra.engine import Step
from infra.errors import StepFailed
from infra.rehearse.calls import ask
from infra.rehearse.rehearsal import Rehearsal, as_json
from infra.rehearse.section import Section, Table
from infra.roles import POLICY_NAME

CODE = "AccessDenied"


def play(rehearsal: Rehearsal) -> Section:
    """Take the policy off the function's role, call the function, deploy again, and call it once more. Raises
    StepFailed when the first call is not denied or the second one is, or the drift is not found."""
    rehearsal.clients.iam.delete_role_policy(RoleName=rehearsal.role, PolicyName=POLICY_NAME)
    answer = ask(rehearsal.deployment, rehearsal.photo).answer
    if CODE not in json.dumps(answer):
        raise StepFailed(f"Without its policy the function answers {as_json(answer)}", "Is STAGEMAKER_IAM strict?")
    rehearsal.terminal.say(f"Denied: {json.dumps(answer)}")
    drift = [step for step in engine.plan(rehearsal.resources()).steps if step.action != "unchanged"]
    if not drift:
        raise StepFailed("The plan does not see that the role has lost its policy.", "Please report this.")
    engine.apply(rehearsal.resources(), rehearsal.terminal)
    after = ask(rehearsal.deployment, rehearsal.photo).answer
    if CODE in json.dumps(after):
        raise StepFailed(f"With its policy the function answers {as_json(after)}", "Please report this.")
    return section(rehearsal.role, answer, drift)


def section(role: str, answer: Any, drift: list[Step]) -> Section:
    """The function's answer without the policy, and what the plan said then."""
    rows = tuple(
        (step.action, step.title, "\n".join(str(change) for change in step.changes) or "none") for step in drift
    )
    told = (
        f"Without a policy the role {role} may do nothing, and the function answers as below. The plan shows what is "
        "missing, and a deployment puts it back: then the same call is answered."
    )
    return Section(
        "The call before the policy",
        (told,),
        (Table(("Action", "What", "Change"), rows),),
        code=as_json(answer),
        here={"permissions": f"least privilege, enforced: {CODE} before the policy, an answer with it"},
    )
