"""What the scenes of a rehearsal share: the system, the stage that it is played on, and what has come of it so far."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.clients import Clients
from infra.data.dataset import Dataset, Photo
from infra.deployment import Deployment, deployment_of
from infra.ec2.report import Outcome
from infra.interrupts import Interrupts
from infra.resources.resource import Resource
from infra.settings import DeploymentSettings
from infra.terminal import Terminal


@dataclass
class Rehearsal:
    """One play of a system. `preset` are its settings as they are written, `folder` is for the page, and `compression`
    how many times as fast as on AWS time passes for scaling. `jobs` are DescribeTrainingJob's answers for the training
    jobs of its models, by the names of the models, and `tuned` those of its search. `host` is what
    came of the EC2 host, None without one."""

    options: Namespace
    preset: DeploymentSettings
    dataset: Dataset
    clients: Clients
    in_containers: bool
    compression: int
    folder: Path
    terminal: Terminal
    interrupts: Interrupts
    deployment: Deployment = field(init=False)
    tuned: list[Mapping[str, Any]] = field(default_factory=list)
    jobs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    host: Outcome | None = None

    def __post_init__(self) -> None:
        self.decide({})

    def decide(self, best: Mapping[str, str]) -> None:
        """What is deployed from now on: the preset with the `best` hyperparameters."""
        found = deployment_of(self.options, self.clients, self.dataset, best=best)
        settings = as_played(found.blueprint.settings, in_containers=self.in_containers)
        self.deployment = replace(found, blueprint=replace(found.blueprint, settings=settings))

    def resources(self) -> list[Resource]:
        """All that the deployment consists of."""
        return self.deployment.resources(self.terminal)

    @property
    def photo(self) -> Photo:
        """The one that is sent."""
        return self.dataset.split("test")[0]

    @property
    def role(self) -> str:
        """The function's."""
        return self.deployment.blueprint.role("lambda")


def as_played(settings: DeploymentSettings, *, in_containers: bool) -> DeploymentSettings:
    """The settings without what cannot be played: the notebook instance, for which no person is there; and training on
    several instances as processes, which do not find each other by name."""
    models = settings.models
    if not in_containers:
        models = tuple(replace(model, training=replace(model.training, instances=1)) for model in models)
    return replace(settings, models=models, notebook=None)


def as_json(value: Any, limit: int = 2000) -> str:
    """Indented, and cut after so many characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]} ..."
