"""Endpoint configurations: which models, how many instances, which share of the requests. Nothing runs here."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.tags import is_taken, tag_list
from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.hosting.models import KIND as MODEL

KIND = "endpoint-config"
NOT_YET = {
    "AsyncInferenceConfig": "asynchronous inference",
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explainers",
    "EnableNetworkIsolation": "network isolation",
    "ExecutionRoleArn": "inference components",
}
VARIANT_NOT_YET = {
    "ServerlessConfig": "serverless inference",
    "ManagedInstanceScaling": "managed instance scaling",
    "CapacityReservationConfig": "capacity reservations",
    "AcceleratorType": "Elastic Inference",
    "CoreDumpConfig": "core dumps",
}


class EndpointConfigs:
    """CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def create_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """ValidationException for a name that is taken, a model that is not there, or variants that contradict each
        other; 501 for kinds of endpoints that we cannot host."""
        name = request["EndpointConfigName"]
        arn = scope.arn("sagemaker", f"{KIND}/{name.lower()}")
        _refuse_unsupported(request)
        _check_variants(request["ProductionVariants"])
        variants = [{"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]]
        record = {
            **request,
            "EndpointConfigArn": arn,
            "ProductionVariants": variants,
            "CreationTime": datetime.fromtimestamp(self._clock(), UTC),
            "Tags": tag_list(request),
        }
        with self._store.lock:
            if is_taken(self._store, scope, KIND, arn):
                raise validation_error(f'Cannot create already existing endpoint configuration "{arn}".')
            for variant in variants:
                if self._store.get(scope, MODEL, variant["ModelName"]) is None:
                    missing = scope.arn("sagemaker", f"model/{variant['ModelName'].lower()}")
                    raise validation_error(f'Could not find model "{missing}".')
            self._store.put(scope, KIND, name, record)
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, with ARN and time."""
        record = get_config(self._store, scope, request["EndpointConfigName"])
        return {key: value for key, value in record.items() if key != "Tags"}

    def list_endpoint_configs(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Newest first unless asked otherwise."""
        sort = {"CreationTime": "CreationTime", "Name": "EndpointConfigName"}
        records, token = page(self._store.all(scope, KIND), request, name="EndpointConfigName", sort=sort)
        keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        configs = [{key: record[key] for key in keys} for record in records]
        return {"EndpointConfigs": configs, **({"NextToken": token} if token else {})}

    def delete_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget the entry; an endpoint that was made from it serves on, as on AWS."""
        with self._store.lock:
            get_config(self._store, scope, request["EndpointConfigName"])
            self._store.delete(scope, KIND, request["EndpointConfigName"])
        return {}


def get_config(store: Store, scope: Scope, name: str) -> Record:
    """The record, or ValidationException in AWS's words."""
    record = store.get(scope, KIND, name)
    if record is None:
        arn = scope.arn("sagemaker", f"{KIND}/{name.lower()}")
        raise validation_error(f'Could not find endpoint configuration "{arn}".')
    return record


def _refuse_unsupported(request: Mapping[str, Any]) -> None:
    refuse(request, NOT_YET)
    capture = request.get("DataCaptureConfig")
    if capture and capture.get("EnableCapture", True):
        raise not_supported("data capture (DataCaptureConfig)")
    if request.get("MetricsConfig", {}).get("EnableEnhancedMetrics"):
        raise not_supported("enhanced metrics (MetricsConfig)")
    for variant in request["ProductionVariants"]:
        refuse(variant, VARIANT_NOT_YET)
        if "ModelName" not in variant:
            raise not_supported("inference components (a production variant without ModelName)")


def _check_variants(variants: list[Mapping[str, Any]]) -> None:
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation_error("The production variants of an endpoint configuration must have different names.")
    for variant in variants:
        for member in ("InstanceType", "InitialInstanceCount"):
            if member not in variant:
                raise validation_error(f"Production variant {variant['VariantName']} has no {member}.")
