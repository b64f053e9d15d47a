"""Endpoints: fleets of containers behind one name. What a fleet does meanwhile is in deployments.py."""

import itertools
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.tags import is_taken, tag_list
from stagemaker.api.unsupported import refuse
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.store import Store
from stagemaker.hosting.configs import get_config
from stagemaker.hosting.deployments import KIND, Deployments, get_endpoint
from stagemaker.hosting.fleet import Fleet, FleetAws, FleetLogs
from stagemaker.hosting.models import KIND as MODEL
from stagemaker.hosting.models import primary_container
from stagemaker.hosting.plan import FleetPlan, plan_fleet
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

    `work_dir` is ours alone, empty or not there yet; `close` deletes it.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        aws: FleetAws,
        logs: FleetLogs,
        clock: Callable[[], float],
        work_dir: Path,
    ) -> None:
        self._store, self._runtime, self._clock, self._work_dir = store, runtime, clock, work_dir
        self._deployments = Deployments(store, runtime, aws, logs, clock)
        self._numbers = itertools.count(1)

    def create_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Returns at once, with the endpoint Creating.

        ValidationException for a name that is taken, or a configuration or model that is not there;
        ResourceLimitExceeded for more instances than one machine should run, and for hardware that it cannot give.
        """
        name = request["EndpointName"]
        arn = scope.arn("sagemaker", f"endpoint/{name.lower()}")
        refuse(request, DEPLOYMENTS)
        with self._store.lock:
            if is_taken(self._store, scope, KIND, arn):
                raise validation_error(f'Cannot create already existing endpoint "{arn}".')
            plan = self._plan(scope, name, request["EndpointConfigName"])
            now = datetime.fromtimestamp(self._clock(), UTC)
            record = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": plan.config,
                "EndpointStatus": "Creating",
                "CreationTime": now,
                "LastModifiedTime": now,
                "Tags": tag_list(request),
            }
            self._deployments.launch(scope, plan)
            self._store.put(scope, KIND, name, record)
        return {"EndpointArn": arn}

    def update_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start a fleet of the new configuration; when it is healthy it takes over and the old one is stopped. Until
        then, and for good if it fails, the old one serves. ValidationException unless the endpoint is InService."""
        name = request["EndpointName"]
        refuse(request, UPDATES)
        with self._store.lock:
            record = get_endpoint(self._store, scope, name)
            if record["EndpointStatus"] != "InService":
                raise validation_error(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
            plan = self._plan(scope, name, request["EndpointConfigName"])
            self._deployments.launch(scope, plan)
            self._deployments.change(scope, name, "Updating")
        return {"EndpointArn": record["EndpointArn"]}

    def describe_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The state now; the instance counts are those of containers that are healthy now."""
        with self._store.lock:
            record = get_endpoint(self._store, scope, request["EndpointName"])
            fleet = self._deployments.serving(scope, request["EndpointName"])
        answer = {key: value for key, value in record.items() if key != "Tags"}
        return {**answer, "ProductionVariants": _variants(fleet)} if fleet else answer

    def list_endpoints(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Newest first unless asked otherwise."""
        sort = {"CreationTime": "CreationTime", "Name": "EndpointName", "Status": "EndpointStatus"}
        records = self._store.all(scope, KIND)
        records, token = page(records, request, name="EndpointName", sort=sort, status="EndpointStatus")
        keys = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        endpoints = [{key: record[key] for key in keys} for record in records]
        return {"Endpoints": endpoints, **({"NextToken": token} if token else {})}

    def delete_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Returns at once, with the endpoint Deleting, in whatever state it was; it is gone when all has stopped."""
        name = request["EndpointName"]
        with self._store.lock:
            get_endpoint(self._store, scope, name)
            if self._deployments.cancel(scope, name):
                self._deployments.change(scope, name, "Deleting")
            else:
                self._store.delete(scope, KIND, name)
        return {}

    def serving(self, scope: Scope, name: str) -> Fleet | None:
        """The fleet that takes the endpoint's requests now, if there is one."""
        return self._deployments.serving(scope, name)

    def close(self) -> None:
        """Stop every fleet, and leave no folder. Create nothing any more."""
        self._deployments.close()
        shutil.rmtree(self._work_dir, ignore_errors=True)

    def _plan(self, scope: Scope, name: str, config_name: str) -> FleetPlan:
        config = get_config(self._store, scope, config_name)
        containers = {}
        for model_name in {variant["ModelName"] for variant in config["ProductionVariants"]}:
            model = self._store.get(scope, MODEL, model_name)
            if model is None:
                missing = scope.arn("sagemaker", f"model/{model_name.lower()}")
                raise validation_error(f'Could not find model "{missing}".')
            containers[model_name] = {**primary_container(model), "ExecutionRoleArn": model["ExecutionRoleArn"]}
        count = sum(variant["InitialInstanceCount"] for variant in config["ProductionVariants"])
        if count > MAX_INSTANCES:
            sentence = f"An endpoint runs at most {MAX_INSTANCES} instances on one machine; {count} are asked for."
            raise ApiError("ResourceLimitExceeded", sentence)
        for variant in config["ProductionVariants"]:
            self._runtime.check_hardware(variant["InstanceType"], 1)  # each for itself: they need not find each other
        folder = self._work_dir / scope.account / scope.region
        return plan_fleet(name, config, containers, generation=str(next(self._numbers)), work_dir=folder)


def _variants(fleet: Fleet) -> list[dict[str, Any]]:
    deployed = datetime.fromtimestamp(fleet.created, UTC)
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [
                {"SpecifiedImage": variant.image, "ResolvedImage": variant.image, "ResolutionTime": deployed}
            ],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": fleet.healthy(variant.name),
            "DesiredInstanceCount": len(variant.instances),
            "VariantStatus": [{"Status": STAGE, "StatusMessage": fleet.hardware(variant.name)[:MAX_MESSAGE_CHARS]}],
        }
        for variant in fleet.plan.variants
    ]
