"""Endpoint configurations: which models, how many instances, which share of the requests. Nothing runs here."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.listing import listing
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import validation_error
from stagemaker.core.kinds import ENDPOINT_CONFIG, MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.hosting import multi_container
from stagemaker.hosting.async_config import check_async_config
from stagemaker.hosting.capture import capture_config
from stagemaker.hosting.metrics_config import metrics_config
from stagemaker.hosting.multi_model import check_combination, is_multi_model
from stagemaker.hosting.records import existing, refuse_taken
from stagemaker.hosting.serverless import check_serverless_config, check_serverless_model, is_serverless
from stagemaker.hosting.targets import DEFAULT_WEIGHT, SHADOWS

NOT_YET = {
    "ExplainerConfig": "explainers",
    "EnableNetworkIsolation": "network isolation",
    "ExecutionRoleArn": "inference components",
    "CrossRegionTrafficConfig": "traffic across regions",
    "VpcConfig": "a VPC of the endpoint besides its models' (inference components)",
}
METRICS_NOT_YET = {"EnableDetailedObservability": "metrics of containers and GPUs"}
VARIANT_NOT_YET = {
    "ManagedInstanceScaling": "managed instance scaling",
    "CapacityReservationConfig": "capacity reservations",
    "AcceleratorType": "Elastic Inference",
    "CoreDumpConfig": "core dumps",
    "InstancePools": "pools of instance types",
    "AcceleratorPartitionLayouts": "partitions of accelerators",
}
ROUTING_NOT_YET = {"PrefixAwareRoutingConfig": "prefix-aware routing"}
STRATEGIES = ("RANDOM", "LEAST_OUTSTANDING_REQUESTS")


class EndpointConfigs:
    """CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def create_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """ValidationException for a name that is taken, a model that is not there, variants that contradict each
        other or are serverless together with what AWS excludes, a destination of captured data that is not in S3, or a
        frequency of metrics that AWS does not take; 501 for kinds of endpoints that we cannot host."""
        ref = Ref(scope, ENDPOINT_CONFIG, request["EndpointConfigName"])
        _refuse_unsupported(request)
        check_async_config(request)
        check_serverless_config(request)
        _check_variants(request["ProductionVariants"], request.get(SHADOWS, []))
        capture_config(request)  # which checks it
        metrics_config(request)
        variants = {
            kind: [{"InitialVariantWeight": DEFAULT_WEIGHT, **variant} for variant in request[kind]]
            for kind in ("ProductionVariants", SHADOWS)
            if kind in request
        }
        record = {
            **request,
            "EndpointConfigArn": ref.arn,
            **variants,
            "CreationTime": self._clock(),
            "Tags": tag_list(request),
        }
        with self._store.lock:
            refuse_taken(self._store, ref)
            for variant in itertools.chain.from_iterable(variants.values()):
                model = existing(self._store, Ref(scope, MODEL, variant["ModelName"]))
                if is_serverless(variant):
                    check_serverless_model(model)
                if any(is_multi_model(container) for container in multi_container.containers_of(model)):
                    check_combination(request)
                multi_container.check_combination(request, model)
            self._store.put(ref, record)
        return {"EndpointConfigArn": ref.arn}

    def describe_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """What was given, with ARN and time."""
        return described(existing(self._store, Ref(scope, ENDPOINT_CONFIG, request["EndpointConfigName"])))

    def list_endpoint_configs(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Newest first unless asked otherwise."""
        return listing(self._store.all(scope, ENDPOINT_CONFIG), request, ENDPOINT_CONFIG, items="EndpointConfigs")

    def delete_endpoint_config(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Forget the entry; an endpoint that was made from it serves on, as on AWS."""
        ref = Ref(scope, ENDPOINT_CONFIG, request["EndpointConfigName"])
        with self._store.lock:
            existing(self._store, ref)
            self._store.delete(ref)
        return {}


def _refuse_unsupported(request: Mapping[str, Any]) -> None:
    refuse(request, NOT_YET)
    refuse(request.get("MetricsConfig", {}), METRICS_NOT_YET)
    for variant in (*request["ProductionVariants"], *request.get(SHADOWS, ())):
        refuse(variant, VARIANT_NOT_YET)
        routing = variant.get("RoutingConfig", {})
        refuse(routing, ROUTING_NOT_YET)
        if (strategy := routing.get("RoutingStrategy", STRATEGIES[0])) not in STRATEGIES:
            raise not_supported(f"the routing strategy {strategy}")
        if "ModelName" not in variant:
            raise not_supported("inference components (a production variant without ModelName)")


def _check_variants(production: list[Mapping[str, Any]], shadows: list[Mapping[str, Any]]) -> None:
    variants = [*production, *shadows]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation_error("The variants of an endpoint configuration must have different names.")
    if shadows and (len(production), len(shadows)) != (1, 1):
        raise validation_error("With a shadow variant there must be exactly one production and one shadow variant.")
    for variant in variants:
        for member in ("InstanceType", "InitialInstanceCount"):
            if member not in variant and not is_serverless(variant):
                raise validation_error(f"Production variant {variant['VariantName']} has no {member}.")
