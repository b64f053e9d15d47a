"""The plan, the deployment with the best hyperparameters, and a second one, which changes nothing."""

import time
from collections.abc import Mapping
from typing import Any

from infra import engine, proof
from infra.engine import Plan
from infra.errors import StepFailed
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.search import seconds_of
from infra.rehearse.section import Section, Table
from infra.resources.training import next_request
from infra.settings import METRICS, DeploymentSettings, ModelSettings

_MODEL = ("Model", "Training job", "Instances", "Seconds", *METRICS)


def plan(rehearsal: Rehearsal) -> Section:
    """What `make plan` says before anything is there."""
    found = engine.plan(rehearsal.resources())
    rehearsal.terminal.say(found.lines()[-1])
    return Section(
        "Plan",
        (f"{found.lines()[-1]} Nothing was changed.",),
        (_steps(found),),
        here={
            "notebook": "left out, since no person sits at it: `make notebook` opens one",
            "data": f"{rehearsal.dataset}; sent to a bucket",
        },
    )


def _steps(found: Plan) -> Table:
    rows = tuple((step.action, step.title, step.name) for step in found.steps)
    return Table(("Action", "What", "Name"), rows)


def play(rehearsal: Rehearsal) -> Section:
    """Deploy with the best hyperparameters, and ask each endpoint about all test photos."""
    began = time.monotonic()
    actions = engine.apply(rehearsal.resources(), rehearsal.terminal)
    took_s = time.monotonic() - began
    blueprint, sagemaker = rehearsal.deployment.blueprint, rehearsal.clients.sagemaker
    for model in blueprint.settings.models:
        name = next_request(sagemaker, blueprint, model)["TrainingJobName"]
        rehearsal.jobs[model.name] = sagemaker.describe_training_job(TrainingJobName=name)
    accuracies = {
        endpoint: str(proof.measure(rehearsal.deployment, endpoint, rehearsal.terminal))
        for endpoint in blueprint.endpoints
    }
    for endpoint, accuracy in accuracies.items():
        rehearsal.terminal.say(f"{endpoint}: {accuracy}")
    made = sum(action != "unchanged" for action in actions)
    told = f"{made} of {len(actions)} resources made or changed in {took_s:.0f} s."
    endpoints = {blueprint.endpoint(model): model for model in blueprint.settings.models}
    return section(told, rehearsal.jobs, endpoints, accuracies, rehearsal.preset)


def section(
    told: str,
    jobs: Mapping[str, Mapping[str, Any]],
    endpoints: Mapping[str, ModelSettings],
    accuracies: Mapping[str, str],
    preset: DeploymentSettings,
) -> Section:
    """The training jobs, by the names of their models, and the endpoints of these models with their accuracies. Says
    which jobs have fewer instances than the `preset` wants."""
    trained = tuple(_job_row(model or "the only one", job) for model, job in jobs.items())
    rows = tuple(
        (endpoint, model.endpoint.instance_type, _scales(model), accuracies[endpoint])
        for endpoint, model in endpoints.items()
    )
    fewer = [
        f"The model {model.name} is trained on 1 instance here, and on {model.training.instances} on AWS or in "
        "containers: processes do not find each other by name."
        for model in preset.models
        if model.training.instances != _instances(jobs[model.name])
    ]
    training = "; ".join(
        f"{_instances(job)} x {job['ResourceConfig']['InstanceType']}, {seconds_of(job):.0f} s"
        for job in {job["TrainingJobName"]: job for job in jobs.values()}.values()
    )
    return Section(
        "Training and endpoints",
        (told, *fewer),
        (
            Table(_MODEL, trained, "Training jobs"),
            Table(("Endpoint", "On", "Scaling", "Through the endpoint"), rows, "Endpoints"),
        ),
        here={"training": training, "endpoints": ", ".join(endpoints)},
    )


def _job_row(model: str, job: Mapping[str, Any]) -> tuple[str, ...]:
    metrics = {metric["MetricName"]: f"{metric['Value']:.4f}" for metric in job.get("FinalMetricDataList", [])}
    instances = f"{_instances(job)} x {job['ResourceConfig']['InstanceType']}"
    return (
        model,
        job["TrainingJobName"],
        instances,
        f"{seconds_of(job):.0f}",
        *(metrics.get(name, "") for name in METRICS),
    )


def _instances(job: Mapping[str, Any]) -> int:
    return int(job["ResourceConfig"]["InstanceCount"])


def _scales(model: ModelSettings) -> str:
    return str(model.endpoint.scaling) if model.endpoint.scaling else f"none, {model.endpoint.instances} instances"


def again(rehearsal: Rehearsal) -> Section:
    """A second deployment. Raises StepFailed when it changes anything."""
    began = time.monotonic()
    actions = engine.apply(rehearsal.resources(), rehearsal.terminal)
    took_s = time.monotonic() - began
    if changed := [action for action in actions if action != "unchanged"]:
        reason = f"A second deployment changed {len(changed)} of {len(actions)} resources."
        raise StepFailed(reason, "The lines above say which: please report this.")
    return Section("A second deployment", (f"It changed nothing: {len(actions)} resources read in {took_s:.1f} s.",))
