"""What is scaled, as the operations of SageMaker and Lambda show it."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.scaling.resources import FUNCTION, PROVISIONED, VARIANT, ScalableResource
from stagemaker.scaling.scalables import Capacity, Functions, ServerlessVariants, Variants
from tests.unit.plugin.fakes import SCOPE

RESOURCE = ScalableResource("sagemaker", "endpoint/end/variant/all", VARIANT)
SERVERLESS = ScalableResource("sagemaker", "endpoint/end/variant/all", PROVISIONED)
ALIAS = ScalableResource("lambda", "function:classify:live", FUNCTION)


class Endpoints:
    """One endpoint."""

    def __init__(self, **members: Any) -> None:
        variant = {"VariantName": "all", "DesiredInstanceCount": 2, "CurrentInstanceCount": 1}
        self.described = {"EndpointStatus": "InService", "ProductionVariants": [variant], **members}
        self.updates: list[dict[str, Any]] = []

    def describe_endpoint(self, _scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        if request != {"EndpointName": "end"}:
            raise validation_error("Could not find endpoint.")
        return self.described

    def update_endpoint_weights_and_capacities(self, _scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        self.updates.append(request)
        return {}


class Concurrency:
    """One alias, or none."""

    def __init__(self, config: dict[str, Any] | None) -> None:
        self.config = config
        self.counts: list[int] = []

    def get(self, _scope: Scope, function: str, qualifier: str) -> dict[str, Any] | None:
        assert (function, qualifier) == ("classify", "live")
        return self.config

    def put(self, _scope: Scope, _function: str, _qualifier: str, count: int) -> None:
        self.counts.append(count)


@pytest.mark.parametrize(
    ("members", "capacity"),
    [
        ({}, Capacity(2, 1)),
        ({"EndpointStatus": "Updating"}, Capacity(2, 1, changing=True)),
        ({"EndpointStatus": "Failed", "FailureReason": "It died."}, Capacity(2, 1, changing=True, failure="It died.")),
        ({"EndpointStatus": "Deleting"}, None),
        ({"ProductionVariants": []}, None),
    ],
)
def test_a_variant_is_what_its_endpoint_says(members: dict[str, Any], capacity: Capacity | None) -> None:
    assert Variants(Endpoints(**members)).capacity(SCOPE, RESOURCE) == capacity


def test_an_endpoint_that_is_not_there_has_no_variant() -> None:
    other = ScalableResource("sagemaker", "endpoint/other/variant/all", VARIANT)
    assert Variants(Endpoints()).capacity(SCOPE, other) is None


def test_a_variant_is_changed_by_its_count_alone() -> None:
    endpoints = Endpoints()
    Variants(endpoints).set_desired(SCOPE, RESOURCE, 3)
    change = {"VariantName": "all", "DesiredInstanceCount": 3}
    assert endpoints.updates == [{"EndpointName": "end", "DesiredWeightsAndCapacities": [change]}]


def serverless(current: int, desired: int | None = None, status: str = "InService") -> Endpoints:
    """An endpoint of a serverless variant with so much provisioned concurrency."""

    def config(kept: int) -> dict[str, Any]:
        return {"MemorySizeInMB": 1024, "MaxConcurrency": 9, **({"ProvisionedConcurrency": kept} if kept else {})}

    variant = {"VariantName": "all", "CurrentInstanceCount": 0, "CurrentServerlessConfig": config(current)}
    wanted = {} if desired is None else {"DesiredServerlessConfig": config(desired)}
    return Endpoints(EndpointStatus=status, ProductionVariants=[{**variant, **wanted}])


@pytest.mark.parametrize(
    ("endpoints", "capacity"),
    [
        (serverless(2), Capacity(2, 2)),
        (serverless(2, 4, "Updating"), Capacity(4, 2, changing=True)),
        (serverless(0, 1, "Updating"), Capacity(1, 0, changing=True)),
        (serverless(0), None),
        (serverless(2, status="Deleting"), None),
        (Endpoints(), None),
    ],
)
def test_a_serverless_variant_has_provisioned_concurrency_and_no_instances(
    endpoints: Endpoints, capacity: Capacity | None
) -> None:
    assert ServerlessVariants(endpoints).capacity(SCOPE, SERVERLESS) == capacity


def test_a_serverless_variant_has_no_instances_to_scale() -> None:
    assert Variants(serverless(2)).capacity(SCOPE, RESOURCE) is None


def test_a_serverless_variant_is_changed_by_its_provisioned_concurrency_alone() -> None:
    endpoints = serverless(2)
    ServerlessVariants(endpoints).set_desired(SCOPE, SERVERLESS, 3)
    change = {"VariantName": "all", "ServerlessUpdateConfig": {"ProvisionedConcurrency": 3}}
    assert endpoints.updates == [{"EndpointName": "end", "DesiredWeightsAndCapacities": [change]}]
    with pytest.raises(ApiError, match="at least 1"):
        ServerlessVariants(endpoints).set_desired(SCOPE, SERVERLESS, 0)


@pytest.mark.parametrize(
    ("config", "capacity"),
    [
        (None, None),
        ({"RequestedProvisionedConcurrentExecutions": 0, "Status": "READY"}, Capacity(0, 0)),
        (
            {
                "RequestedProvisionedConcurrentExecutions": 4,
                "AvailableProvisionedConcurrentExecutions": 1,
                "Status": "IN_PROGRESS",
            },
            Capacity(4, 1, changing=True),
        ),
        (
            {"RequestedProvisionedConcurrentExecutions": 4, "Status": "FAILED", "StatusReason": "No room."},
            Capacity(4, 0, failure="No room."),
        ),
    ],
)
def test_an_alias_is_what_its_provisioned_concurrency_says(
    config: dict[str, Any] | None, capacity: Capacity | None
) -> None:
    concurrency = Concurrency(config)
    assert Functions(concurrency).capacity(SCOPE, ALIAS) == capacity
    Functions(concurrency).set_desired(SCOPE, ALIAS, 5)
    assert concurrency.counts == [5]


def test_a_resource_that_is_none_is_refused() -> None:
    with pytest.raises(ApiError, match="Unsupported service namespace"):
        _ = ScalableResource("sagemaker", "endpoint/end", VARIANT).parts
