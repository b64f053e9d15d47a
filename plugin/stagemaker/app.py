"""Composes the stage: its parts over one store, one runtime and one supervisor, and the one table of what it answers.

A new kind of job is a module and a row of `_jobs`; a new service is a module and a row of `App.services`.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stagemaker.api import events
from stagemaker.api.operation import Call, Request, Resource, Service, by_arn, every, named, service
from stagemaker.api.search import Search, Searchable
from stagemaker.api.search_members import ENDPOINT_MEMBERS, MODEL_MEMBERS, TRAINING_JOB_MEMBERS, TUNING_JOB_MEMBERS
from stagemaker.api.tags import TagHolder, Tags
from stagemaker.aws.account import Account
from stagemaker.aws.alarms import CloudWatchAlarms
from stagemaker.aws.clients import Clients, of_accounts
from stagemaker.aws.cloudwatch import Logs
from stagemaker.aws.concurrency import ProvisionedConcurrency
from stagemaker.aws.events import EventBus
from stagemaker.aws.iam import Iam
from stagemaker.aws.policies import PolicySimulator
from stagemaker.core.kinds import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    NOTEBOOK_INSTANCE,
    NOTEBOOK_LIFECYCLE_CONFIG,
    REPOSITORY,
    TRAINING_JOB,
    TUNING_JOB,
)
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Change, MemoryStore, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.ec2.instances import Instances
from stagemaker.hosting.async_inference import AsyncInference
from stagemaker.hosting.configs import EndpointConfigs
from stagemaker.hosting.dispatch import Dispatcher
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.endpoints import Endpoints
from stagemaker.hosting.invoke import Invoke
from stagemaker.hosting.metering import Meter
from stagemaker.hosting.models import Models
from stagemaker.hosting.response_stream import ResponseStreams
from stagemaker.hosting.serverless import KEEP_WARM_S
from stagemaker.hosting.utilization import Utilization
from stagemaker.jobs.job import JobContext
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.kind import JobKind
from stagemaker.notebooks.boot import LIMIT_S
from stagemaker.notebooks.lifecycle_configs import LifecycleConfigs
from stagemaker.notebooks.notebooks import NotebookInstances
from stagemaker.processing.processing import Processing
from stagemaker.registry.ecr import Ecr
from stagemaker.registry.rights import ALL_RIGHTS, Rights
from stagemaker.runtime.contract import Registry, Runtime
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.resources import FUNCTION, PROVISIONED, VARIANT, is_registered, target_of
from stagemaker.scaling.scalables import Functions, Scalable, ServerlessVariants, Variants
from stagemaker.scaling.scaling import Scaling
from stagemaker.settings import Settings
from stagemaker.training.interruption import Interruptions
from stagemaker.training.spot import read_schedule
from stagemaker.training.training import Training
from stagemaker.training.updates import TrainingUpdates
from stagemaker.transform.transform import Transform
from stagemaker.tuning.tuning import TuningJobs


class App:
    """Everything that one LocalStack process runs. Thread-safe; `close` once.

    `make_runtime` gets the registry that image names may point into, and the supervisor. `address` is where the
    registry's front listens, and `rights` what its callers may do. `other_tags` are the tags of what others keep for
    us. OSError, with a sentence, when that port is taken; then nothing is left running."""

    def __init__(
        self,
        settings: Settings,
        make_runtime: Callable[[Registry | None, Supervisor], Runtime],
        *,
        address: str = "127.0.0.1",
        other_tags: Iterable[TagHolder] = (),
        rights: Rights = ALL_RIGHTS,
    ) -> None:
        self.settings, self.store, self.supervisor = settings, MemoryStore(), Supervisor()
        self.secret = secrets.token_urlsafe(32)  # our own clients sign with it; no program that we start is told
        try:
            self._compose(make_runtime, address, other_tags, rights)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop every job and server; leave no process, no thread and no folder."""
        self.supervisor.close()

    def _compose(
        self,
        make_runtime: Callable[[Registry | None, Supervisor], Runtime],
        address: str,
        other_tags: Iterable[TagHolder],
        rights: Rights,
    ) -> None:
        settings, store, clock = self.settings, self.store, time.time
        self.supervisor.own(lambda: shutil.rmtree(settings.work_dir, ignore_errors=True))
        ecr = self.ecr = Ecr(settings.docker, store, self.supervisor, address, clock, secrets.token_bytes(32), rights)
        self.runtime = make_runtime(ecr.registry, self.supervisor)
        self.supervisor.own(self.runtime.close)
        self.runtime.sweep()
        shutil.rmtree(settings.work_dir, ignore_errors=True)  # of an earlier process: records do not outlive it either
        clients = Clients(settings.gateway_url, of_accounts(self.secret))
        account = Account(clients, clock=clock)
        self.logs = Logs(clients, clock, self.supervisor, account.role_clients)
        bus = EventBus(clients, clock, self.supervisor)
        _send_events(store, bus)
        floor = _Floor(settings, store, self.supervisor, self.runtime, clients, account, self.logs, bus, clock)
        context = JobContext(store, self.runtime, account, self.logs, clock, self.supervisor, settings.work_dir)
        jobs = _jobs(Training(read_schedule(settings.interruptions)), context)
        self.interruptions = Interruptions(store, context.kinds[TRAINING_JOB])
        self.tags = Tags(store, other_tags)
        self.instances = _instances(floor, ecr.front.port if ecr.front else 0)
        endpoints = _endpoints(floor)
        self.notebooks, lifecycle_configs = _notebooks(floor)
        sagemaker = _sagemaker(
            store,
            jobs,
            TrainingUpdates(store, clock),
            Models(store, self.runtime, account, clock, ecr.media_type),
            EndpointConfigs(store, clock),
            endpoints,
            self.notebooks,
            lifecycle_configs,
            self.tags,
        )
        services = (sagemaker, _runtime_service(floor, endpoints), _ecr(ecr), _scaling_service(floor, endpoints))
        self.services: dict[str, Service] = {each.name: each for each in services}
        # Of these services LocalStack answers the rest.
        self.shared_services: dict[str, Service] = {each.name: each for each in (_iam(PolicySimulator(clients)),)}


@dataclass(frozen=True)
class _Floor:
    """What every service stands on."""

    settings: Settings
    store: Store
    supervisor: Supervisor
    runtime: Runtime
    clients: Clients
    account: Account
    logs: Logs
    bus: EventBus
    clock: Callable[[], float]

    @property
    def compression(self) -> Compression:
        return Compression(self.settings.time_compression)


def _endpoints(floor: _Floor) -> Endpoints:
    return Endpoints(
        floor.store,
        floor.runtime,
        floor.account,
        floor.logs,
        floor.clock,
        floor.settings.work_dir / "endpoints",
        floor.supervisor,
        keep_warm_s=floor.compression.real_s(KEEP_WARM_S),
        is_scalable=partial(is_registered, floor.store),
    )


def _notebooks(floor: _Floor) -> tuple[NotebookInstances, LifecycleConfigs]:
    configs, docker = LifecycleConfigs(floor.store, floor.clock), floor.settings.docker
    notebooks = NotebookInstances(
        floor.store,
        configs,
        floor.runtime,
        floor.account,
        floor.logs,
        floor.clock,
        floor.supervisor,
        floor.settings.work_dir / "notebooks",
        docker.notebook_image if docker else "",
        floor.compression.real_s(LIMIT_S),
    )
    return notebooks, configs


def _instances(floor: _Floor, registry_port: int) -> Instances:
    schedule = read_schedule(floor.settings.interruptions)
    return Instances(
        floor.runtime,
        Iam(floor.clients, floor.clock),
        lambda scope, kind, arn, detail: floor.bus.put(scope, "aws.ec2", kind, arn, detail),
        floor.clock,
        floor.supervisor,
        gateway_url=floor.settings.gateway_url,
        registry_port=registry_port,
        factor=floor.settings.time_compression,
        interruption_s=(lambda name: schedule.interruption_s(name, 1)) if schedule else None,
    )


def _runtime_service(floor: _Floor, endpoints: Endpoints) -> Service:
    """SageMaker Runtime, with what counts its calls."""
    store, logs, clock, real_s = floor.store, floor.logs, floor.clock, floor.compression.real_s
    meter = Meter(store, endpoints, logs, clock, real_s(60), real_s(10))
    meter.start(floor.supervisor)
    Utilization(store, endpoints, logs, clock, real_s).start(floor.supervisor)
    asynchronous = AsyncInference(
        store,
        endpoints,
        floor.account,
        logs,
        clock,
        floor.supervisor,
        floor.settings.work_dir / "asynchronous",
        minute_s=real_s(60),
    )
    metrics = EndpointMetrics(logs, clock, meter.called)
    return _sagemaker_runtime(Dispatcher(store, endpoints, clock), metrics, asynchronous, clock)


def _scaling_service(floor: _Floor, endpoints: Endpoints) -> Service:
    """Application Auto Scaling, with the loop that changes capacities."""
    scalables: dict[str, Scalable] = {
        VARIANT: Variants(endpoints),
        PROVISIONED: ServerlessVariants(endpoints),
        FUNCTION: Functions(ProvisionedConcurrency(floor.clients)),
    }
    alarms = CloudWatchAlarms(floor.clients)
    scaling = Scaling(floor.store, scalables, alarms, floor.bus, floor.clock, floor.compression)
    scaling.loop.start(floor.supervisor)
    return _application_autoscaling(scaling)


def _jobs(training: Training, context: JobContext) -> list[Jobs[Any]]:
    """Of each kind."""
    kinds: tuple[JobKind[Any], ...] = (training, Processing(), Transform())
    return [*(Jobs(kind, context) for kind in kinds), TuningJobs(training, context)]


def _send_events(store: Store, bus: EventBus) -> None:
    """Have every change of state of a record sent to EventBridge."""

    def tell(change: Change) -> None:
        if event := events.event_of(change):
            bus.put(event.scope, events.SOURCE, event.detail_type, event.resource, event.detail)

    for kind in events.KINDS:
        store.watch(kind, tell)


def _sagemaker(
    store: Store,
    jobs: list[Jobs[Any]],
    updates: TrainingUpdates,
    models: Models,
    configs: EndpointConfigs,
    endpoints: Endpoints,
    notebooks: NotebookInstances,
    lifecycle_configs: LifecycleConfigs,
    tags: Tags,
) -> Service:
    describe = {each.kind: each.describe for each in jobs}
    search = Search(
        store,
        {
            "TrainingJob": Searchable(TRAINING_JOB, describe[TRAINING_JOB], TRAINING_JOB_MEMBERS),
            "HyperParameterTuningJob": Searchable(TUNING_JOB, describe[TUNING_JOB], TUNING_JOB_MEMBERS),
            "Endpoint": Searchable(ENDPOINT, endpoints.describe_endpoint, ENDPOINT_MEMBERS),
            "Model": Searchable(MODEL, models.describe_model, MODEL_MEMBERS, "Model"),
        },
    )
    return service(
        "sagemaker",
        "ValidationException",
        *(row for each in jobs for row in each.rows()),
        ("UpdateTrainingJob", updates.update_training_job, named(TRAINING_JOB)),
        ("Search", search.search, every),
        ("GetSearchSuggestions", search.get_search_suggestions, every),
        ("CreateModel", models.create_model, named(MODEL)),
        ("DescribeModel", models.describe_model, named(MODEL)),
        ("ListModels", models.list_models, every),
        ("DeleteModel", models.delete_model, named(MODEL)),
        ("CreateEndpointConfig", configs.create_endpoint_config, named(ENDPOINT_CONFIG)),
        ("DescribeEndpointConfig", configs.describe_endpoint_config, named(ENDPOINT_CONFIG)),
        ("ListEndpointConfigs", configs.list_endpoint_configs, every),
        ("DeleteEndpointConfig", configs.delete_endpoint_config, named(ENDPOINT_CONFIG)),
        ("CreateEndpoint", endpoints.create_endpoint, named(ENDPOINT, ENDPOINT_CONFIG)),
        ("UpdateEndpoint", endpoints.update_endpoint, named(ENDPOINT, ENDPOINT_CONFIG)),
        (
            "UpdateEndpointWeightsAndCapacities",
            endpoints.update_endpoint_weights_and_capacities,
            named(ENDPOINT),
        ),
        ("DescribeEndpoint", endpoints.describe_endpoint, named(ENDPOINT)),
        ("ListEndpoints", endpoints.list_endpoints, every),
        ("DeleteEndpoint", endpoints.delete_endpoint, named(ENDPOINT)),
        *_notebook_rows(notebooks, lifecycle_configs),
        ("AddTags", tags.add_tags, by_arn("ResourceArn")),
        ("ListTags", tags.list_tags, by_arn("ResourceArn")),
        ("DeleteTags", tags.delete_tags, by_arn("ResourceArn")),
    )


def _notebook_rows(notebooks: NotebookInstances, configs: LifecycleConfigs) -> tuple[tuple[str, Call, Resource], ...]:
    instance, config = named(NOTEBOOK_INSTANCE), named(NOTEBOOK_LIFECYCLE_CONFIG)
    return (
        ("CreateNotebookInstance", notebooks.create_notebook_instance, instance),
        ("DescribeNotebookInstance", notebooks.describe_notebook_instance, instance),
        ("ListNotebookInstances", notebooks.list_notebook_instances, every),
        ("StartNotebookInstance", notebooks.start_notebook_instance, instance),
        ("StopNotebookInstance", notebooks.stop_notebook_instance, instance),
        ("UpdateNotebookInstance", notebooks.update_notebook_instance, instance),
        ("DeleteNotebookInstance", notebooks.delete_notebook_instance, instance),
        ("CreatePresignedNotebookInstanceUrl", notebooks.create_presigned_notebook_instance_url, instance),
        ("CreateNotebookInstanceLifecycleConfig", configs.create, config),
        ("DescribeNotebookInstanceLifecycleConfig", configs.describe, config),
        ("ListNotebookInstanceLifecycleConfigs", configs.list, every),
        ("UpdateNotebookInstanceLifecycleConfig", configs.update, config),
        ("DeleteNotebookInstanceLifecycleConfig", configs.delete, config),
    )


def _sagemaker_runtime(
    dispatcher: Dispatcher, metrics: EndpointMetrics, asynchronous: AsyncInference, clock: Callable[[], float]
) -> Service:
    invoke, streams = Invoke(dispatcher, metrics, clock), ResponseStreams(dispatcher, metrics, clock)
    return service(
        "sagemaker-runtime",
        "ValidationError",
        ("InvokeEndpoint", invoke.invoke_endpoint, named(ENDPOINT)),
        ("InvokeEndpointWithResponseStream", streams.invoke_endpoint_with_response_stream, named(ENDPOINT)),
        ("InvokeEndpointAsync", asynchronous.invoke_endpoint_async, named(ENDPOINT)),
        iam="sagemaker",
    )


def _ecr(ecr: Ecr) -> Service:
    repositories, images, lifecycle = ecr.repositories, ecr.images, ecr.lifecycle
    repository = named(REPOSITORY)
    return service(
        "ecr",
        "InvalidParameterException",
        ("GetAuthorizationToken", ecr.authorization.get_authorization_token, every),
        ("DescribeRegistry", repositories.describe_registry, every),
        ("CreateRepository", repositories.create_repository, repository),
        ("DescribeRepositories", repositories.describe_repositories, _repositories),
        ("DeleteRepository", repositories.delete_repository, repository),
        ("PutImageTagMutability", repositories.put_image_tag_mutability, repository),
        ("PutImageScanningConfiguration", repositories.put_image_scanning_configuration, repository),
        ("SetRepositoryPolicy", repositories.set_repository_policy, repository),
        ("GetRepositoryPolicy", repositories.get_repository_policy, repository),
        ("DeleteRepositoryPolicy", repositories.delete_repository_policy, repository),
        ("TagResource", repositories.tag_resource, by_arn("resourceArn")),
        ("UntagResource", repositories.untag_resource, by_arn("resourceArn")),
        ("ListTagsForResource", repositories.list_tags_for_resource, by_arn("resourceArn")),
        ("DescribeImages", images.describe_images, repository),
        ("ListImages", images.list_images, repository),
        ("BatchGetImage", images.batch_get_image, repository),
        ("BatchDeleteImage", images.batch_delete_image, repository),
        ("PutImage", images.put_image, repository),
        ("BatchCheckLayerAvailability", images.batch_check_layer_availability, repository),
        ("PutLifecyclePolicy", lifecycle.put_lifecycle_policy, repository),
        ("GetLifecyclePolicy", lifecycle.get_lifecycle_policy, repository),
        ("DeleteLifecyclePolicy", lifecycle.delete_lifecycle_policy, repository),
        ("StartLifecyclePolicyPreview", lifecycle.start_lifecycle_policy_preview, repository),
        ("GetLifecyclePolicyPreview", lifecycle.get_lifecycle_policy_preview, repository),
    )


def _application_autoscaling(scaling: Scaling) -> Service:
    targets, policies, actions = scaling.targets, scaling.policies, scaling.actions
    return service(
        "application-autoscaling",
        "ValidationException",
        ("RegisterScalableTarget", targets.register_scalable_target, target_of),
        ("DescribeScalableTargets", targets.describe_scalable_targets, every),
        ("DeregisterScalableTarget", targets.deregister_scalable_target, target_of),
        ("TagResource", targets.tag_resource, by_arn("ResourceARN")),
        ("UntagResource", targets.untag_resource, by_arn("ResourceARN")),
        ("ListTagsForResource", targets.list_tags_for_resource, by_arn("ResourceARN")),
        ("PutScalingPolicy", policies.put_scaling_policy, target_of),
        ("DescribeScalingPolicies", policies.describe_scaling_policies, every),
        ("DeleteScalingPolicy", policies.delete_scaling_policy, target_of),
        ("PutScheduledAction", actions.put_scheduled_action, target_of),
        ("DescribeScheduledActions", actions.describe_scheduled_actions, every),
        ("DeleteScheduledAction", actions.delete_scheduled_action, target_of),
        ("DescribeScalingActivities", scaling.activities.describe_scaling_activities, every),
    )


def _iam(simulator: PolicySimulator) -> Service:
    return service(
        "iam",
        "ValidationError",
        ("SimulatePrincipalPolicy", simulator.simulate_principal_policy, by_arn("PolicySourceArn")),
        ("SimulateCustomPolicy", simulator.simulate_custom_policy, every),
    )


def _repositories(scope: Scope, request: Request) -> tuple[str, ...]:
    """Those that the request names; without names, all."""
    return tuple(Ref(scope, REPOSITORY, name).arn for name in request.get("repositoryNames", "*"))
