"""Endpoints: fleets of containers behind one name. What its fleets do meanwhile is in fleets.py."""

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stagemaker.api.listing import listing
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import refuse
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import Telemetry
from stagemaker.hosting.context import FleetAccount, FleetContext
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.fleets import Fleets
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.layout import FleetLayout, VariantLayout, lay_out_fleet
from stagemaker.hosting.models import primary_container
from stagemaker.hosting.records import existing, refuse_taken
from stagemaker.hosting.rollout import ALL_AT_ONCE, Schedule
from stagemaker.hosting.router import Router
from stagemaker.hosting.targets import Desired, Targets, changed_targets, initial_targets
from stagemaker.runtime.contract import Runtime

MAX_INSTANCES = 20  # (ours) of one endpoint: one machine runs them all
DEPLOYMENTS = {"DeploymentConfig": "deployment policies"}
IN_PROGRESS = ("Creating", "Updating", "RollingBack")
AT_REST = ("Failed", "OutOfService")  # and yet of no use
STAGE = "ActivatingTraffic"  # of AWS's stages the last that is behind a variant in service
MAX_MESSAGE_CHARS = 1024  # AWS's limit of a VariantStatus
UPDATES = {
    **DEPLOYMENTS,
    "RetainAllVariantProperties": "retained variant properties",
    "ExcludeRetainedVariantProperties": "retained variant properties",
    "RetainDeploymentConfig": "deployment policies",
}
SERVERLESS = {"ServerlessUpdateConfig": "serverless inference"}


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DescribeEndpoint, ListEndpoints and
    DeleteEndpoint; and `router` for invocations.

    `work_dir` is ours alone, empty or not there yet; it is gone when `supervisor` has closed.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        account: FleetAccount,
        logs: Telemetry,
        clock: Callable[[], float],
        work_dir: Path,
        supervisor: Supervisor,
        *,
        times: HealthTimes = HealthTimes(),  # noqa: B008 - frozen
        schedule: Schedule = ALL_AT_ONCE,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._runtime, self._clock, self._work_dir = store, runtime, clock, work_dir
        self._supervisor = supervisor
        context = FleetContext(runtime, account, logs, clock, supervisor, times, elapsed)
        self._fleets = Fleets(store, context, schedule)
        self._generations = itertools.count(1)
        supervisor.own(lambda: shutil.rmtree(work_dir, ignore_errors=True))

    def create_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Returns at once, with the endpoint Creating.

        ValidationException for a name that is taken, or a configuration or model that is not there;
        ResourceLimitExceeded for more instances than one machine should run, and for hardware that it cannot give.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        refuse(request, DEPLOYMENTS)
        with self._store.lock:
            refuse_taken(self._store, ref)
            layout, targets = self._lay_out(ref, request["EndpointConfigName"])
            now_s = self._clock()
            record = {
                "EndpointName": ref.name,
                "EndpointArn": ref.arn,
                "EndpointConfigName": layout.config,
                "EndpointStatus": "Creating",
                "CreationTime": now_s,
                "LastModifiedTime": now_s,
                "Tags": tag_list(request),
                **Desired(targets).members(),
            }
            self._fleets.launch(ref, layout, targets)
            self._store.put(ref, record)
        return {"EndpointArn": ref.arn}

    def update_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Start a fleet of the new configuration; when it is healthy it takes over and the old one is stopped. Until
        then, and for good if it fails, the old one serves. ValidationException unless the endpoint is InService, and
        when the configuration that it has was deleted: AWS compares the new one with it."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        refuse(request, UPDATES)
        with self._store.lock:
            record = self._changeable(ref)
            existing(self._store, Ref(scope, ENDPOINT_CONFIG, record["EndpointConfigName"]))
            layout, targets = self._lay_out(ref, request["EndpointConfigName"])
            self._fleets.launch(ref, layout, targets)
            desired = Desired(Desired.of(record).serving, coming=targets)
            self._fleets.change(ref, "Updating", **desired.members())
        return {"EndpointArn": ref.arn}

    def update_endpoint_weights_and_capacities(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Change the targets of the fleet that serves. The weights count at once; the endpoint is Updating until the
        fleet has as many instances as it should. When new ones cannot serve, the former targets are restored.

        ValidationException unless the endpoint is InService, and as `changed_targets` says; ResourceLimitExceeded as
        `create_endpoint`.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        changes = request["DesiredWeightsAndCapacities"]
        for change in changes:
            refuse(change, SERVERLESS)
        self._supervisor.refuse_when_closing()
        with self._store.lock:
            former = Desired.of(self._changeable(ref)).serving
            targets = changed_targets(former, changes)
            fleet = self._fleets.serving(ref)
            if fleet:  # which every endpoint has that is InService
                self._check_capacity(fleet.layout, targets)
            self._fleets.change(ref, "Updating", **Desired(targets, former=former).members())
        return {"EndpointArn": ref.arn}

    def describe_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """The state now; the instance counts are those of containers that are healthy now. PendingDeploymentSummary is
        what is on its way to serve, while the endpoint is created or moves to another configuration."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            record, fleet, coming = existing(self._store, ref), self._fleets.serving(ref), self._fleets.coming(ref)
        desired = Desired.of(record)
        variants = {"ProductionVariants": _variants(fleet, desired.serving)} if fleet else {}
        pending = {"PendingDeploymentSummary": _pending(coming, desired.coming or desired.serving)} if coming else {}
        return {**described(record), **variants, **pending}

    def list_endpoints(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Newest first unless asked otherwise."""
        return listing(
            self._store.all(scope, ENDPOINT),
            request,
            ENDPOINT,
            items="Endpoints",
            members=("LastModifiedTime", "EndpointStatus"),
            status="EndpointStatus",
        )

    def delete_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Returns at once, with the endpoint Deleting: it takes no new requests, answers those that it has for as long
        as a request may take, and is gone when all has stopped. ValidationException while it is created or changed."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            if existing(self._store, ref)["EndpointStatus"] in IN_PROGRESS:
                raise _in_progress(ref)
            if self._fleets.cancel(ref):
                self._fleets.change(ref, "Deleting")
            else:
                self._store.delete(ref)
        return {}

    def router(self, ref: Ref) -> Router[Fleet] | None:
        """Who takes the endpoint's requests; None when nothing runs for it."""
        return self._fleets.router(ref)

    def _changeable(self, ref: Ref) -> Record:
        """The record; ValidationException unless the endpoint is InService."""
        record = existing(self._store, ref)
        status = record["EndpointStatus"]
        if status in AT_REST:
            raise validation_error(
                f'Cannot update endpoint "{ref.arn}": it is {status}. Delete it, and create it anew.'
            )
        if status != "InService":
            raise _in_progress(ref)
        return record

    def _lay_out(self, ref: Ref, config_name: str) -> tuple[FleetLayout, Targets]:
        """What a fleet under this configuration runs, and how many instances it begins with."""
        config = existing(self._store, Ref(ref.scope, ENDPOINT_CONFIG, config_name))
        containers = {}
        for model_name in {variant["ModelName"] for variant in config["ProductionVariants"]}:
            model = existing(self._store, Ref(ref.scope, MODEL, model_name))
            containers[model_name] = {**primary_container(model), "ExecutionRoleArn": model["ExecutionRoleArn"]}
        folder, generation = self._work_dir / ref.scope.account / ref.scope.region, str(next(self._generations))
        layout = lay_out_fleet(ref.name, config, containers, generation=generation, work_dir=folder)
        targets = initial_targets(config)
        self._check_capacity(layout, targets)
        return layout, targets

    def _check_capacity(self, layout: FleetLayout, targets: Targets) -> None:
        """ResourceLimitExceeded for more than this machine can run."""
        count = sum(target.count for target in targets.values())
        if count > MAX_INSTANCES:
            sentence = f"An endpoint runs at most {MAX_INSTANCES} instances on one machine; {count} are asked for."
            raise ApiError("ResourceLimitExceeded", sentence)
        for variant in layout.variants:
            self._runtime.check_hardware(variant.instance_type, 1)  # each for itself: they need not find each other


def _in_progress(ref: Ref) -> ApiError:
    return validation_error(f'Cannot update in-progress endpoint "{ref.arn}".')


def _variants(fleet: Fleet, desired: Targets) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [_deployed_image(fleet, variant)],
            "CurrentWeight": fleet.weights[variant.name],
            "DesiredWeight": desired[variant.name].weight,
            "CurrentInstanceCount": fleet.in_service(variant.name),
            "DesiredInstanceCount": desired[variant.name].count,
            "VariantStatus": [{"Status": STAGE, "StatusMessage": fleet.hardware(variant.name)[:MAX_MESSAGE_CHARS]}],
        }
        for variant in fleet.layout.variants
    ]


def _deployed_image(fleet: Fleet, variant: VariantLayout) -> dict[str, Any]:
    image = fleet.resolved_image(variant)
    resolved = {"ResolvedImage": image, "ResolutionTime": fleet.pinned_s} if image else {}
    return {"SpecifiedImage": variant.image, **resolved}


def _pending(fleet: Fleet, desired: Targets) -> dict[str, Any]:
    """A fleet that does not serve yet: AWS tells how far each of its variants is."""
    shown = []
    for variant, layout in zip(_variants(fleet, desired), fleet.layout.variants, strict=True):
        message = f"Launching {variant['DesiredInstanceCount']} instance(s)."
        status = {"Status": "Creating", "StatusMessage": message, "StartTime": fleet.created_s}
        shown.append({**variant, "InstanceType": layout.instance_type, "VariantStatus": [status]})
    return {"EndpointConfigName": fleet.layout.config, "StartTime": fleet.created_s, "ProductionVariants": shown}
