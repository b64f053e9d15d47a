"""The scenes of a rehearsal, in their order."""

from collections.abc import Callable
from dataclasses import dataclass

from infra.rehearse import calls, clean, costs, denied, deploy, host, loads, policies, search
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section


@dataclass(frozen=True)
class Scene:
    """A part of the play. `play` does it, and says for the page what came of it; it raises StepFailed, or botocore's
    errors, where the rehearsal must end."""

    title: str
    play: Callable[[Rehearsal], Section]


SCENES = (
    Scene("plan", deploy.plan),
    Scene("tuning", search.play),
    Scene("training and endpoints", deploy.play),
    Scene("a second deployment", deploy.again),
    Scene("the function", calls.play),
    Scene("the call before the policy", denied.play),
    Scene("the EC2 host", host.play),
    Scene("load and scaling", loads.play),
    Scene("policies", policies.play),
    Scene("cost", costs.play),
    Scene("clean-up", clean.play),
)
