"""A deployment: what the options of a command line ask for, and the resources that it consists of."""

import hashlib
import os
import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra import ownership, presets, pushed, roles
from infra.blueprint import FEATURES, PROJECT_TAG, Blueprint, endpoint_logs
from infra.clients import Clients, Target, connect
from infra.data import digits
from infra.data.dataset import Dataset, load
from infra.data_bucket.stored import StoredDataset, look
from infra.ec2 import resources as ec2_resources
from infra.encryption.lookup import find_key
from infra.encryption.requests import without_volume_key
from infra.errors import StepFailed
from infra.hyperparameters import suited_to
from infra.network import resources as network_resources
from infra.network.lookup import find_vpc
from infra.notebook import names as notebook_names
from infra.notebook.lifecycle import lifecycle_request
from infra.notebook.requests import instance_request
from infra.paths import CHECKOUT, paths
from infra.resources import titles
from infra.resources.bucket import Bucket
from infra.resources.endpoint import Endpoint, EndpointConfiguration
from infra.resources.function import Function
from infra.resources.function_alias import FunctionAlias
from infra.resources.function_url import FunctionUrl
from infra.resources.logs import LogGroup
from infra.resources.model import Model
from infra.resources.notebook import NotebookInstance, NotebookLifecycle, why_not_offered
from infra.resources.objects import File, StoredFiles
from infra.resources.resource import Resource
from infra.resources.role import IamRole
from infra.resources.scaling import EndpointScaling
from infra.resources.training import TrainingJob, next_features_request, next_request
from infra.resources.tuning import Show, TuningJob, best_of
from infra.resources.tuning import next_request as next_tuning_request
from infra.settings import DeploymentSettings, ModelSettings
from infra.terminal import Terminal
from infra.typed import make
from ml.config import MAX_UNUSABLE_SHARE

HANDLER = CHECKOUT / "containers" / "lambda" / "handler.py"
NOTEBOOK_FILES = {
    "train_and_deploy.ipynb": CHECKOUT / "notebooks" / "train_and_deploy.ipynb",
    "requirements.txt": CHECKOUT / "requirements" / "notebook.txt",
}


@dataclass(frozen=True)
class Deployment:
    """What is deployed, and the clients of where to. `pretrained` are starting weights for the training."""

    clients: Clients
    blueprint: Blueprint
    dataset: Dataset | StoredDataset
    pretrained: File | None = None

    def resources(self, terminal: Terminal) -> list[Resource]:
        """Everything that a deployment makes. `terminal` shows what takes long. Asks AWS which training jobs there are,
        since what comes after them has their names."""
        clients, blueprint = self.clients, self.blueprint
        return [
            *self._for_training(terminal),
            IamRole(clients.iam, roles.hosting(blueprint), titles.HOSTING_ROLE, blueprint.tags),
            *self._logs(),
            *(resource for model in blueprint.settings.models for resource in self._model(model, terminal)),
            IamRole(clients.iam, roles.function(blueprint), titles.LAMBDA_ROLE, blueprint.tags),
            Function(clients, blueprint, HANDLER),
            FunctionAlias(clients, blueprint, HANDLER),
            FunctionUrl(clients, blueprint),
            *self._notebook(terminal),
            *self._unwanted(),
        ]

    def _logs(self) -> list[Resource]:
        """The log groups of endpoints and function that the key encrypts; without a key those that still have one."""
        blueprint, logs = self.blueprint, self.clients.logs
        named = {
            titles.of_model(titles.ENDPOINT_LOG, model.name): endpoint_logs(blueprint.endpoint(model))
            for model in blueprint.settings.models
        }
        named[titles.FUNCTION_LOG] = blueprint.function_logs
        groups = [LogGroup(logs, name, title, blueprint.key, blueprint.tags) for title, name in named.items()]
        return [one for one in groups if blueprint.key or one.has_key()]

    def _notebook(self, terminal: Terminal) -> list[Resource]:
        """The notebook instance with what it needs; to delete, where the settings have none any more."""
        clients, blueprint, settings = self.clients, self.blueprint, self.blueprint.settings.notebook
        if settings is None:
            found = _existing_notebook(clients, blueprint, terminal)
            for resource in found:
                resource.is_wanted = False
            return found
        if reason := why_not_offered(clients):
            terminal.say(
                f"Left out: the notebook instance ({reason}). A stage in containers has them once "
                "`scripts/build notebook` has made their image."
            )
            return []
        files = {name: _file(path) for name, path in NOTEBOOK_FILES.items()}
        bucket, prefix = blueprint.bucket, notebook_names.FILES
        return [
            StoredFiles(clients.s3, bucket, prefix, files, titles.NOTEBOOK_FILES, "files", terminal.bar),
            IamRole(clients.iam, roles.notebook(blueprint), titles.NOTEBOOK_ROLE, blueprint.tags),
            NotebookLifecycle(clients.sagemaker, lifecycle_request(blueprint, settings)),
            NotebookInstance(clients, instance_request(blueprint, settings)),
        ]

    def _model(self, model: ModelSettings, terminal: Terminal) -> list[Resource]:
        """A training job, its model and its endpoint."""
        clients, blueprint, endpoint = self.clients, self.blueprint, self.blueprint.endpoint(model)
        job = next_request(clients.sagemaker, blueprint, model)
        made = blueprint.model_request(job["TrainingJobName"])
        configuration = blueprint.endpoint_config_request(model, made["ModelName"])
        return [
            TrainingJob(clients, job, terminal.line, model.name),
            Model(clients, made, model.name),
            EndpointConfiguration(clients.sagemaker, configuration, model.name),
            Endpoint(
                clients,
                endpoint,
                configuration["EndpointConfigName"],
                model.name,
                tags=blueprint.tags,
                keeps_capacity=model.endpoint.scaling is not None,
            ),
            EndpointScaling(clients.autoscaling, endpoint, model.endpoint.scaling, model.name),
        ]

    def _unwanted(self) -> list[Resource]:
        """What other settings of the project made, and costs for each hour: endpoints, with what they have."""
        clients, blueprint = self.clients, self.blueprint
        names = [name for name in _endpoints(clients, blueprint) if name not in blueprint.endpoints]
        found = [resource for name in names for resource in _hosting(clients, blueprint, name)]
        for resource in found:
            resource.is_wanted = False
        return found

    def tuning(self, terminal: Terminal, show: Show) -> list[Resource]:
        """A tuning job, and all that it needs. `show` gets its progress."""
        clients, blueprint = self.clients, self.blueprint
        needed = self._for_training(terminal)
        features_job = ""
        if blueprint.searches_with_features:
            job = next_features_request(clients.sagemaker, blueprint)
            features_job = job["TrainingJobName"]
            needed.append(TrainingJob(clients, job, terminal.line, FEATURES))
        request = next_tuning_request(clients.sagemaker, blueprint, features_job)
        return [*needed, TuningJob(clients, request, show)]

    def _for_training(self, terminal: Terminal) -> list[Resource]:
        """What training jobs read, and the role that they run under. Says which disks take no key."""
        if self.blueprint.key and (said := without_volume_key(self.blueprint.instance_types)):
            terminal.say(said)
        role = IamRole(self.clients.iam, roles.training(self.blueprint), titles.TRAINING_ROLE, self.blueprint.tags)
        return [*self.data_in_s3(terminal), role, *network_resources.wanted(self.clients, self.blueprint)]

    def data_in_s3(self, terminal: Terminal) -> list[Resource]:
        """The bucket with the photos, if they are not in one of another account, and the starting weights where there
        are some."""
        clients, blueprint = self.clients, self.blueprint
        digests = self.dataset.digests
        photos = {p.key: File(p.path, digests[p.key], p.content_type) for p in self.dataset.photos}
        weights = {self.pretrained.path.name: self.pretrained} if self.pretrained else {}
        data, pretrained = _stored(clients, blueprint, terminal, photos, weights)
        return [
            Bucket(clients.s3, blueprint.bucket, blueprint.settings.region, blueprint.tags, blueprint.key),
            *([data] if blueprint.settings.data is None else []),
            *([pretrained] if weights else []),
        ]


def existing(clients: Clients, blueprint: Blueprint, terminal: Terminal) -> list[Resource]:
    """Everything of the blueprint's project to delete, whatever settings and data it was made with. What has a
    fingerprint in its name is listed; the rest may or may not be there."""
    bucket = Bucket(clients.s3, blueprint.bucket, blueprint.settings.region, blueprint.tags)
    return [
        *ownership.ours([bucket, *_stored(clients, blueprint, terminal, {}, {})], terminal.say),
        *_role(clients, blueprint, roles.training, titles.TRAINING_ROLE, terminal),
        *_role(clients, blueprint, roles.hosting, titles.HOSTING_ROLE, terminal),
        *(
            TuningJob(clients, {"HyperParameterTuningJobName": name}, lambda *_: None)
            for name in _tuning_jobs(clients, blueprint)
        ),
        *(
            TrainingJob(clients, {"TrainingJobName": name}, terminal.line)
            for name in _names(clients, blueprint, "list_training_jobs", "TrainingJobSummaries", "TrainingJobName")
        ),
        *(
            Model(clients, {"ModelName": name})
            for name in _names(clients, blueprint, "list_models", "Models", "ModelName")
        ),
        *(
            EndpointConfiguration(clients.sagemaker, {"EndpointConfigName": name})
            for name in _names(clients, blueprint, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")
        ),
        *(
            resource
            for name in _endpoints(clients, blueprint)
            for resource in ownership.ours(_hosting(clients, blueprint, name), terminal.say)
        ),
        *_role(clients, blueprint, roles.function, titles.LAMBDA_ROLE, terminal),
        *ownership.ours(
            [
                Function(clients, blueprint, HANDLER),
                LogGroup(clients.logs, blueprint.function_logs, titles.FUNCTION_LOG),
                FunctionAlias(clients, blueprint, HANDLER),
                FunctionUrl(clients, blueprint),
            ],
            terminal.say,
        ),
        *_existing_notebook(clients, blueprint, terminal),
        *network_resources.existing(clients, blueprint),
        *ec2_resources.existing(clients, blueprint, terminal.say),
    ]


def notebook_of(clients: Clients, blueprint: Blueprint) -> NotebookInstance:
    """The notebook instance that there may be, to read, start, open and delete."""
    name = notebook_names.name(blueprint)
    return NotebookInstance(clients, {"NotebookInstanceName": name, "Tags": blueprint.tags})


def _existing_notebook(clients: Clients, blueprint: Blueprint, terminal: Terminal) -> list[Resource]:
    name = notebook_names.name(blueprint)
    lifecycle = {"NotebookInstanceLifecycleConfigName": name, "Tags": blueprint.tags}
    return [
        *_role(clients, blueprint, roles.notebook, titles.NOTEBOOK_ROLE, terminal),
        *ownership.ours([NotebookLifecycle(clients.sagemaker, lifecycle)], terminal.say),
        *ownership.ours([notebook_of(clients, blueprint)], terminal.say),
    ]


def _role(
    clients: Clients, blueprint: Blueprint, role: Callable[[Blueprint], roles.Role], title: str, terminal: Terminal
) -> list[Resource]:
    """A role to delete, unless it is somebody else's."""
    return ownership.ours([IamRole(clients.iam, role(blueprint), title, blueprint.tags)], terminal.say)


def _hosting(clients: Clients, blueprint: Blueprint, endpoint: str) -> list[Resource]:
    """An endpoint, and what it has, to delete."""
    model = endpoint.removeprefix(blueprint.settings.project).removeprefix("-")
    log = LogGroup(clients.logs, endpoint_logs(endpoint), titles.of_model(titles.ENDPOINT_LOG, model))
    made = Endpoint(clients, endpoint, "", model, tags=blueprint.tags)
    made.depends_on = (titles.ENDPOINT_CONFIGURATION, *made.depends_on)  # `existing` does not know whose each one is
    return [
        made,
        log,
        EndpointScaling(clients.autoscaling, endpoint, None, model),
    ]


def best_hyperparameters(clients: Clients, blueprint: Blueprint, terminal: Terminal) -> Mapping[str, str]:
    """Those that the project's last tuning job found. Raises StepFailed when there is none."""
    found = best_of(clients.sagemaker, _tuning_jobs(clients, blueprint))
    if found is None:
        raise StepFailed("No tuning job of this project has found anything.", f"Search first: {make('tune')}")
    name, trial = found
    values = ", ".join(f"{key}={value}" for key, value in trial.values.items())
    terminal.say(f"The best of tuning job {name} ({blueprint.settings.tuning.objective} {trial.value:.3f}): {values}")
    return trial.values


def _tuning_jobs(clients: Clients, blueprint: Blueprint) -> Iterator[str]:
    operation, name = "list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobName"
    return _names(clients, blueprint, operation, "HyperParameterTuningJobSummaries", name)


def settings_of(options: Namespace) -> DeploymentSettings:
    """Those of the preset that the options name, or the defaults, with what else the options say. Raises StepFailed for
    what AWS would not take, and for a preset that cannot be read."""
    preset = getattr(options, "preset", None)
    chosen = presets.read(presets.find(preset)) if preset else DeploymentSettings()
    try:
        return replace(
            chosen,
            **_given(options, "project", "region"),
            hyperparameters={**chosen.hyperparameters, **_pairs(getattr(options, "hyperparameters", []))},
            tuning=replace(chosen.tuning, **_given(options, "jobs", "parallel", "strategy", "early_stopping")),
            function=replace(
                chosen.function, **_given(options, "system", "reserved", "provisioned", "origins"), **_url(options)
            ),
        )
    except ValueError as error:
        raise StepFailed(str(error), "Mend the option.") from None


def load_data(options: Namespace, terminal: Terminal) -> Dataset:
    """The user's data set, or the digits, written first if need be. Says which photos cannot be used as they are."""
    folder = options.data.resolve() if options.data else digits.make(paths().data / "digits")
    found = load(folder, _max_unusable_share(_pairs(options.hyperparameters)))
    for remark in found.remarks:
        terminal.say(remark)
    return found


def data_of(
    options: Namespace, settings: DeploymentSettings, clients: Clients, terminal: Terminal
) -> Dataset | StoredDataset:
    """The data set of a folder that the options name; else that in another account's bucket, where the settings have
    one; else the digits. Raises StepFailed."""
    if settings.data is None or options.data:
        return load_data(options, terminal)
    found = look(clients, Blueprint(settings, clients.account, data_digest=""), settings.data)
    terminal.say(f"Data: {settings.data.uri} of account {settings.data.account}, {found}")
    return found


def connect_to(target: Target, settings: DeploymentSettings, terminal: Terminal) -> Clients:
    """The clients of where the settings go. Of AWS it is said whose account that is. Raises StepFailed."""
    clients = connect(target, settings.region, account=settings.account)
    if target == "aws":
        terminal.say(f"AWS account {clients.account}, region {clients.region}, as {clients.caller}")
        meant = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or clients.region
        if meant != clients.region:
            terminal.say(f"Your environment names the region {meant}; the preset and --region decide: {clients.region}")
    return clients


def deployment_of(
    options: Namespace,
    clients: Clients,
    dataset: Dataset | StoredDataset,
    *,
    best: Mapping[str, str] | None = None,
) -> Deployment:
    """What the options ask for, with the hyperparameters that suit the data, then the `best` of a tuning job, and the
    images that the registry has where they are not those of this machine. Photos of this machine are sent to the
    deployment's own bucket, whatever the preset says of another's. Raises StepFailed."""
    settings = suited_to(dataset, settings_of(options))
    if isinstance(dataset, Dataset):
        settings = replace(settings, data=None)
    hyperparameters = {**settings.hyperparameters, **(best or {}), **_pairs(options.hyperparameters)}
    auth = settings.function.url_auth or ("AWS_IAM" if clients.target == "aws" else "NONE")
    function = replace(settings.function, url_auth=auth)
    settings = replace(settings, hyperparameters=hyperparameters, function=function)
    weights = _weights(options.pretrained)
    digest = hashlib.sha256(f"{dataset.digest}{weights.sha256 if weights else ''}".encode()).hexdigest()
    is_built = clients.target == "local" and options.images == "built"
    images = {} if is_built else pushed.of_registry(clients, getattr(options, "image_tag", None))
    vpc = find_vpc(clients.ec2, settings.network) if settings.network else None
    key = _key(clients, settings)
    blueprint = Blueprint(
        settings, clients.account, digest, pretrained=weights is not None, images=images, vpc=vpc, key=key
    )
    return Deployment(clients, blueprint, dataset, weights)


def _key(clients: Clients, settings: DeploymentSettings) -> str:
    """The ARN of the settings' key; empty without one."""
    if settings.encryption is None:
        return ""
    return find_key(clients.other("kms", clients.region), settings.encryption, clients.region)


def _given(options: Namespace, *names: str) -> dict[str, Any]:
    """Those of the options that have a value."""
    found = {name: getattr(options, name, None) for name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items() if value is not None
    }


def _url(options: Namespace) -> dict[str, Any]:
    wanted = getattr(options, "url", False) or getattr(options, "origins", None)
    return {"url": True} if wanted else {}


def _stored(
    clients: Clients, blueprint: Blueprint, terminal: Terminal, photos: dict[str, File], weights: dict[str, File]
) -> tuple[StoredFiles, StoredFiles]:
    s3, bucket = clients.s3, blueprint.bucket
    return (
        StoredFiles(s3, bucket, "data", photos, titles.DATA, "photos", terminal.bar),
        StoredFiles(s3, bucket, "pretrained", weights, titles.WEIGHTS, "files", terminal.bar),
    )


def _endpoints(clients: Clients, blueprint: Blueprint) -> list[str]:
    """The names of those that carry the project's tag, and of those of its settings, whose logs may be left."""
    project = blueprint.settings.project
    found = set(blueprint.endpoints)
    for page in clients.sagemaker.get_paginator("list_endpoints").paginate(NameContains=project):
        for endpoint in page["Endpoints"]:
            tags = clients.sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
            if {"Key": PROJECT_TAG, "Value": project} in tags:
                found.add(endpoint["EndpointName"])
    return sorted(found)


def _names(clients: Clients, blueprint: Blueprint, operation: str, items: str, key: str) -> Iterator[str]:
    """The names of this project: it, a fingerprint, and perhaps an attempt; not those of a project named alike."""
    project = blueprint.settings.project
    ours = re.compile(rf"{re.escape(project)}-[0-9a-f]{{10}}(-\d+)?")
    pages = clients.sagemaker.get_paginator(operation).paginate(NameContains=project)
    yield from [item[key] for page in pages for item in page[items] if ours.fullmatch(item[key])]


def _weights(path: Path | None) -> File | None:
    if path is None:
        return None
    if not path.is_file():
        raise StepFailed(f"There is no file {path}.", "Give the starting weights: --pretrained <file>")
    return _file(path)


def _file(path: Path) -> File:
    with open(path, "rb") as file:
        return File(path, hashlib.file_digest(file, "sha256").hexdigest())


def _max_unusable_share(hyperparameters: Mapping[str, str]) -> float:
    text = hyperparameters.get("max-unusable-share", str(MAX_UNUSABLE_SHARE))
    try:
        return float(text)
    except ValueError:
        raise StepFailed(f"The hyperparameter max-unusable-share is {text!r}.", "Give a number from 0 to 1.") from None


def _pairs(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise StepFailed(f"The hyperparameter {text!r} has no value.", "Write it as NAME=VALUE.")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
