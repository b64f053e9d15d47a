"""Endpoints: fleets of containers behind one name. What a fleet does meanwhile is in deployments.py."""

import itertools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stagemaker.api.listing import listing
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.deployments import Deployments
from stagemaker.hosting.fleet import Fleet, FleetAccount, FleetLogs
from stagemaker.hosting.models import primary_container
from stagemaker.hosting.plan import FleetPlan, plan_fleet
from stagemaker.hosting.records import existing, refuse_taken
from stagemaker.runtime.contract import Runtime

MAX_INSTANCES = 20  # (ours) of one endpoint: one machine runs them all
DEPLOYMENTS = {"DeploymentConfig": "deployment policies"}
STAGE = "ActivatingTraffic"  # of AWS's stages the last that is behind a variant in service
MAX_MESSAGE_CHARS = 1024  # AWS's limit of a VariantStatus
UPDATES = {
    **DEPLOYMENTS,
    "RetainAllVariantProperties": "retained variant properties",
    "ExcludeRetainedVariantProperties": "retained variant properties",
    "RetainDeploymentConfig": "deployment policies",
}


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, DescribeEndpoint, ListEndpoints, DeleteEndpoint; and `serving` for invocations.

    `work_dir` is ours alone, empty or not there yet; it is gone when `supervisor` has closed.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        account: FleetAccount,
        logs: FleetLogs,
        clock: Callable[[], float],
        work_dir: Path,
        supervisor: Supervisor,
    ) -> None:
        self._store, self._runtime, self._clock, self._work_dir = store, runtime, clock, work_dir
        self._deployments = Deployments(store, runtime, account, logs, clock, supervisor)
        self._numbers = itertools.count(1)
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
            plan = self._plan(ref, request["EndpointConfigName"])
            now_s = self._clock()
            record = {
                "EndpointName": ref.name,
                "EndpointArn": ref.arn,
                "EndpointConfigName": plan.config,
                "EndpointStatus": "Creating",
                "CreationTime": now_s,
                "LastModifiedTime": now_s,
                "Tags": tag_list(request),
            }
            self._deployments.launch(ref, plan)
            self._store.put(ref, record)
        return {"EndpointArn": ref.arn}

    def update_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Start a fleet of the new configuration; when it is healthy it takes over and the old one is stopped. Until
        then, and for good if it fails, the old one serves. ValidationException unless the endpoint is InService."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        refuse(request, UPDATES)
        with self._store.lock:
            if existing(self._store, ref)["EndpointStatus"] != "InService":
                raise validation_error(f'Cannot update in-progress endpoint "{ref.arn}".')
            self._deployments.launch(ref, self._plan(ref, request["EndpointConfigName"]))
            self._deployments.change(ref, "Updating")
        return {"EndpointArn": ref.arn}

    def update_endpoint_weights_and_capacities(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """501 until fleets follow targets."""
        raise not_supported("the operation UpdateEndpointWeightsAndCapacities")

    def describe_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """The state now; the instance counts are those of containers that are healthy now."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            answer = described(existing(self._store, ref))
            fleet = self._deployments.serving(ref)
        return {**answer, "ProductionVariants": _variants(fleet)} if fleet else answer

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
        """Returns at once, with the endpoint Deleting, in whatever state it was; it is gone when all has stopped."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            existing(self._store, ref)
            if self._deployments.cancel(ref):
                self._deployments.change(ref, "Deleting")
            else:
                self._store.delete(ref)
        return {}

    def serving(self, ref: Ref) -> Fleet | None:
        """The fleet that takes the endpoint's requests now, if there is one."""
        return self._deployments.serving(ref)

    def _plan(self, ref: Ref, config_name: str) -> FleetPlan:
        config = existing(self._store, Ref(ref.scope, ENDPOINT_CONFIG, config_name))
        containers = {}
        for model_name in {variant["ModelName"] for variant in config["ProductionVariants"]}:
            model = existing(self._store, Ref(ref.scope, MODEL, model_name))
            containers[model_name] = {**primary_container(model), "ExecutionRoleArn": model["ExecutionRoleArn"]}
        count = sum(variant["InitialInstanceCount"] for variant in config["ProductionVariants"])
        if count > MAX_INSTANCES:
            sentence = f"An endpoint runs at most {MAX_INSTANCES} instances on one machine; {count} are asked for."
            raise ApiError("ResourceLimitExceeded", sentence)
        for variant in config["ProductionVariants"]:
            self._runtime.check_hardware(variant["InstanceType"], 1)  # each for itself: they need not find each other
        folder = self._work_dir / ref.scope.account / ref.scope.region
        return plan_fleet(ref.name, config, containers, generation=str(next(self._numbers)), work_dir=folder)


def _variants(fleet: Fleet) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [
                {"SpecifiedImage": variant.image, "ResolvedImage": variant.image, "ResolutionTime": fleet.created}
            ],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": fleet.healthy(variant.name),
            "DesiredInstanceCount": len(variant.instances),
            "VariantStatus": [{"Status": STAGE, "StatusMessage": fleet.hardware(variant.name)[:MAX_MESSAGE_CHARS]}],
        }
        for variant in fleet.plan.variants
    ]
