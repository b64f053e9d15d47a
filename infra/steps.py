"""The readable list of what a deployment consists of, in order: what `up`, `down` and the demo go through."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.clients import Clients
from infra.dataset import Dataset
from infra.plan import Plan
from infra.resources import UNCHANGED, Change
from infra.resources.access import destroy_role, ensure_role
from infra.resources.function import destroy_function, ensure_function
from infra.resources.hosting import destroy_endpoint, ensure_endpoint, ensure_endpoint_config, ensure_model
from infra.resources.storage import File, destroy_bucket, ensure_bucket, sync
from infra.resources.training import destroy_training, ensure_training
from infra.terminal import Terminal


@dataclass
class World:
    """What the steps work on, and what one leaves for the next: the finished training job."""

    clients: Clients
    plan: Plan
    dataset: Dataset
    handler: Path
    terminal: Terminal
    pretrained: File | None = None
    job: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """`ensure` does it and returns the change, the resource's name and a remark."""

    title: str
    ensure: Callable[[World], tuple[Change, str, str]]


def _bucket(world: World) -> tuple[Change, str, str]:
    return ensure_bucket(world.clients.s3, world.plan), world.plan.bucket, ""


def _data(world: World) -> tuple[Change, str, str]:
    digests = world.dataset.digests
    files = {p.key: File(p.path, digests[p.key], p.content_type) for p in world.dataset.photos}
    s3, bucket = world.clients.s3, world.plan.bucket
    with world.terminal.bar("uploading", len(files)) as sent:
        change, count = sync(s3, bucket, "data", files, sent)
    if world.pretrained:
        weights = {world.pretrained.path.name: world.pretrained}
        other, more = sync(s3, bucket, "pretrained", weights, lambda _: None)
        change, count = other if change == UNCHANGED else change, count + more
    return change, f"s3://{bucket}/data", f"{count:,} of {len(files):,} photos sent"


def _sagemaker_role(world: World) -> tuple[Change, str, str]:
    role = world.plan.sagemaker_role()
    return ensure_role(world.clients.iam, role), role.name, ""


def _training(world: World) -> tuple[Change, str, str]:
    change, world.job = ensure_training(world.clients, world.plan, world.terminal.line)
    metrics = ", ".join(f"{m['MetricName']} {m['Value']:.3f}" for m in world.job.get("FinalMetricDataList", []))
    return change, world.job["TrainingJobName"], metrics


def _model(world: World) -> tuple[Change, str, str]:
    name = world.job["TrainingJobName"]
    request = world.plan.model_request(name, world.job["ModelArtifacts"]["S3ModelArtifacts"])
    return ensure_model(world.clients.sagemaker, request), name, ""


def _endpoint(world: World) -> tuple[Change, str, str]:
    request = world.plan.endpoint_config_request(world.job["TrainingJobName"])
    name = request["EndpointConfigName"]
    first = ensure_endpoint_config(world.clients.sagemaker, request)
    change = ensure_endpoint(world.clients, world.plan, name)
    return first if change == UNCHANGED else change, world.plan.endpoint, f"configuration {name}"


def _lambda_role(world: World) -> tuple[Change, str, str]:
    role = world.plan.lambda_role()
    return ensure_role(world.clients.iam, role), role.name, ""


def _function(world: World) -> tuple[Change, str, str]:
    return ensure_function(world.clients, world.plan, world.handler), world.plan.function, ""


STEPS = (
    Step("Bucket", _bucket),
    Step("Data to S3", _data),
    Step("Role of training and hosting", _sagemaker_role),
    Step("Training job", _training),
    Step("Model", _model),
    Step("Endpoint", _endpoint),
    Step("Role of the function", _lambda_role),
    Step("Function", _function),
)
TRAINING = STEPS[:4]


def up(world: World, chosen: tuple[Step, ...] = STEPS) -> list[Change]:
    """Every step in order; each is looked up first, so that nothing is done twice. Raises StepFailed."""
    changes = []
    for step in chosen:
        with world.terminal.step(step.title) as done:
            change, name, remark = step.ensure(world)
            done.result = f"{change}: {name}" + (f" ({remark})" if remark else "")
        changes.append(change)
    return changes


def down(clients: Clients, plan: Plan, terminal: Terminal) -> int:
    """Delete all that `up` makes, last first, whatever data and settings it was made with; how much was there."""
    deleted = []

    def note(what: str, was_there: bool) -> None:
        if was_there:
            deleted.append(what)
            terminal.say(f"deleted: {what}")

    note(f"function {plan.function}", destroy_function(clients, plan))
    note(f"role {plan.lambda_role().name}", destroy_role(clients.iam, plan.lambda_role()))
    note(f"endpoint {plan.endpoint}", destroy_endpoint(clients, plan))
    for name in _ours(clients, plan, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"):
        clients.sagemaker.delete_endpoint_config(EndpointConfigName=name)
        note(f"endpoint configuration {name}", True)
    for name in _ours(clients, plan, "list_models", "Models", "ModelName"):
        clients.sagemaker.delete_model(ModelName=name)
        note(f"model {name}", True)
    for name in _ours(clients, plan, "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"):
        destroy_training(clients, name)
        note(f"training job {name}", True)
    note(f"role {plan.sagemaker_role().name}", destroy_role(clients.iam, plan.sagemaker_role()))
    note(f"bucket {plan.bucket}", destroy_bucket(clients.s3, plan))
    return len(deleted)


def _ours(clients: Clients, plan: Plan, operation: str, items: str, key: str) -> Iterator[str]:
    """The names of this project: it, a fingerprint, and perhaps an attempt; not those of a project named alike."""
    ours = re.compile(rf"{re.escape(plan.settings.project)}-[0-9a-f]{{10}}(-\d+)?")
    pages = clients.sagemaker.get_paginator(operation).paginate(NameContains=plan.settings.project)
    yield from [item[key] for page in pages for item in page[items] if ours.fullmatch(item[key])]
