"""The requests of every preset, with images by their digest, are such as botocore's models take."""

from pathlib import Path

import pytest

from infra import presets
from infra.blueprint import Blueprint, Image, registry_host, scalable, scaling_requests
from infra.notebook.lifecycle import lifecycle_request
from infra.notebook.requests import instance_request
from infra.paths import CHECKOUT
from infra.settings import ModelSettings
from tests.unit.infra.aws_shapes import check

ACCOUNT = "123456789012"
PRESETS = sorted((CHECKOUT / "presets").glob("*.toml"))


@pytest.fixture(params=PRESETS, ids=lambda path: path.stem)
def blueprint(request: pytest.FixtureRequest) -> Blueprint:
    """That of a preset."""
    path: Path = request.param
    settings = presets.read(path)
    names = {name: f"{registry_host(ACCOUNT, settings.region)}/stagemaker/{name}" for name in ("trainer", "serve")}
    images = {name: Image(f"{address}@sha256:{'0' * 64}", name) for name, address in names.items()}
    return Blueprint(settings, ACCOUNT, "ab" * 32, images=images)


def test_each_model(blueprint: Blueprint) -> None:
    check("sagemaker", "CreateHyperParameterTuningJob", blueprint.tuning_request())
    for model in blueprint.settings.models:
        job = blueprint.training_request(model)
        check("sagemaker", "CreateTrainingJob", job)
        made = blueprint.model_request(job["TrainingJobName"])
        check("sagemaker", "CreateModel", made)
        configuration = blueprint.endpoint_config_request(model, made["ModelName"])
        check("sagemaker", "CreateEndpointConfig", configuration)
        check_endpoint(blueprint, model, configuration["EndpointConfigName"])


def check_endpoint(blueprint: Blueprint, model: ModelSettings, configuration: str) -> None:
    endpoint = blueprint.endpoint(model)
    request = {"EndpointName": endpoint, "EndpointConfigName": configuration, "Tags": blueprint.tags}
    check("sagemaker", "CreateEndpoint", request)
    if model.endpoint.scaling:
        target, policy = scaling_requests(scalable(endpoint), model.endpoint.scaling)
        check("application-autoscaling", "RegisterScalableTarget", target)
        check("application-autoscaling", "PutScalingPolicy", policy)


def test_the_function_and_the_notebook(blueprint: Blueprint) -> None:
    check("lambda", "CreateFunction", {**blueprint.function_request(), "Code": {"ZipFile": b"zip"}})
    if notebook := blueprint.settings.notebook:
        check("sagemaker", "CreateNotebookInstanceLifecycleConfig", lifecycle_request(blueprint, notebook))
        check("sagemaker", "CreateNotebookInstance", instance_request(blueprint, notebook))
