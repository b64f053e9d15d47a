"""What is scaled: how many there are, and how to make it more or fewer. One class for each sort of resource."""

from dataclasses import dataclass
from typing import Any, Protocol

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.scaling.resources import ScalableResource

GONE = ("Deleting",)
SETTLED = ("InService",)
KEPT = "ProvisionedConcurrency"


@dataclass(frozen=True)
class Capacity:
    """Of a resource now: `desired` is what was asked for, `current` what there is. While it is `changing`, it takes no
    other change. `failure` says why the last change was taken back."""

    desired: int
    current: int
    changing: bool = False
    failure: str = ""


class Scalable(Protocol):
    """A sort of resource. Thread-safe; may wait for the service that has it."""

    def capacity(self, scope: Scope, resource: ScalableResource) -> Capacity | None:
        """Now; None when there is no such resource."""

    def set_desired(self, scope: Scope, resource: ScalableResource, count: int) -> None:
        """Begin the change. ApiError, in the words of the service, when it refuses."""


class EndpointApi(Protocol):
    """The operations of SageMaker that scale a variant, as `hosting.endpoints.Endpoints` has them."""

    def describe_endpoint(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]: ...
    def update_endpoint_weights_and_capacities(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]: ...


class Variants:
    """The instances of production variants. Whether 0 of them are allowed is the endpoint's to say."""

    def __init__(self, endpoints: EndpointApi) -> None:
        self._endpoints = endpoints

    def capacity(self, scope: Scope, resource: ScalableResource) -> Capacity | None:
        """As DescribeEndpoint has it; an endpoint that is being deleted is gone, and a variant without instances is
        none."""
        endpoint, name = resource.parts
        try:
            described = self._endpoints.describe_endpoint(scope, {"EndpointName": endpoint})
        except ApiError:
            return None
        status = described["EndpointStatus"]
        variant = next((v for v in described.get("ProductionVariants", []) if v["VariantName"] == name), None)
        counts = self._counts(variant) if variant is not None and status not in GONE else None
        if counts is None:
            return None
        desired, current = counts
        return Capacity(desired, current, status not in SETTLED, described.get("FailureReason", ""))

    def set_desired(self, scope: Scope, resource: ScalableResource, count: int) -> None:
        """By UpdateEndpointWeightsAndCapacities."""
        endpoint, name = resource.parts
        change = {"VariantName": name, **self._change(count)}
        request = {"EndpointName": endpoint, "DesiredWeightsAndCapacities": [change]}
        self._endpoints.update_endpoint_weights_and_capacities(scope, request)

    def _counts(self, variant: dict[str, Any]) -> tuple[int, int] | None:
        """Desired and current."""
        if "DesiredInstanceCount" not in variant:
            return None
        return variant["DesiredInstanceCount"], variant["CurrentInstanceCount"]

    def _change(self, count: int) -> dict[str, Any]:
        return {"DesiredInstanceCount": count}


class ServerlessVariants(Variants):
    """The provisioned concurrency of serverless variants that have some."""

    def _counts(self, variant: dict[str, Any]) -> tuple[int, int] | None:
        current = variant.get("CurrentServerlessConfig", {})
        desired = variant.get("DesiredServerlessConfig", current)
        if KEPT not in desired:
            return None
        return desired[KEPT], current.get(KEPT, 0)

    def _change(self, count: int) -> dict[str, Any]:
        if count < 1:
            raise validation_error(f"{KEPT} must be at least 1.")
        return {"ServerlessUpdateConfig": {KEPT: count}}


class ConcurrencyApi(Protocol):
    """As `aws.concurrency.ProvisionedConcurrency` has it."""

    def get(self, scope: Scope, function: str, qualifier: str) -> dict[str, Any] | None: ...
    def put(self, scope: Scope, function: str, qualifier: str, count: int) -> None: ...


class Functions:
    """The provisioned concurrency of versions and aliases of Lambda functions."""

    def __init__(self, concurrency: ConcurrencyApi) -> None:
        self._concurrency = concurrency

    def capacity(self, scope: Scope, resource: ScalableResource) -> Capacity | None:
        """As GetProvisionedConcurrencyConfig has it."""
        found = self._concurrency.get(scope, *resource.parts)
        if found is None:
            return None
        return Capacity(
            found["RequestedProvisionedConcurrentExecutions"],
            found.get("AvailableProvisionedConcurrentExecutions", 0),
            found["Status"] == "IN_PROGRESS",
            found.get("StatusReason", ""),
        )

    def set_desired(self, scope: Scope, resource: ScalableResource, count: int) -> None:
        """By PutProvisionedConcurrencyConfig."""
        self._concurrency.put(scope, *resource.parts, count)
