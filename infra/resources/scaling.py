"""How an endpoint grows and shrinks under load: its variant as a scalable target, with one target tracking policy."""

from functools import partial
from typing import Any

from infra.blueprint import POLICY, scalable, scaling_requests
from infra.patience import once_free, once_seen
from infra.resources import titles
from infra.resources.resource import Change, Resource, State, differences
from infra.settings import ScalingSettings

_CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
_BUSY = "ConcurrentUpdateException"


class EndpointScaling(Resource):
    """The scaling of an endpoint's variant; `settings` are None where none is wanted."""

    def __init__(self, autoscaling: Any, endpoint: str, settings: ScalingSettings | None, model: str = "") -> None:
        self._autoscaling, self._scalable = autoscaling, scalable(endpoint)
        self._requests = None if settings is None else scaling_requests(self._scalable, settings)
        self.is_wanted = settings is not None
        self.name = self._scalable["ResourceId"]
        self.title = titles.of_model(titles.SCALING, model)
        self.depends_on = (titles.of_model(titles.ENDPOINT, model),)

    def read(self) -> State | None:
        """DescribeScalableTargets' answer, with the configuration of the policy."""
        found = self._autoscaling.describe_scalable_targets(
            ServiceNamespace=self._scalable["ServiceNamespace"],
            ResourceIds=[self.name],
            ScalableDimension=self._scalable["ScalableDimension"],
        )["ScalableTargets"]
        if not found:
            return None
        policies = self._autoscaling.describe_scaling_policies(**self._scalable, PolicyNames=[POLICY])
        configuration: dict[str, Any] = next((policy[_CONFIGURATION] for policy in policies["ScalingPolicies"]), {})
        return {**found[0], _CONFIGURATION: configuration}

    def diff(self, state: State) -> list[Change]:
        """Its range and its policy."""
        if self._requests is None:
            return []
        target, policy = self._requests
        range_ = {name: target[name] for name in ("MinCapacity", "MaxCapacity")}
        found = {name: state[_CONFIGURATION].get(name) for name in policy[_CONFIGURATION]}
        return [*differences(range_, state), *differences(policy[_CONFIGURATION], found)]

    def create(self) -> str:
        """Register it and put its policy, whose alarms AWS makes."""
        if self._requests is None:
            return ""
        target, policy = self._requests
        once_free(partial(self._autoscaling.register_scalable_target, **target), _BUSY)
        once_seen(partial(once_free, partial(self._autoscaling.put_scaling_policy, **policy), _BUSY))
        return f"{target['MinCapacity']} to {target['MaxCapacity']} instances"

    def update(self, state: State, changes: list[Change]) -> str:
        """As `create`, which changes what is there."""
        return self.create()

    def delete(self) -> None:
        """Delete it with its policies and their alarms. The instances stay as they are."""
        self._autoscaling.deregister_scalable_target(**self._scalable)

    def remark(self, state: State) -> str:
        """Its range."""
        return f"{state['MinCapacity']} to {state['MaxCapacity']} instances"
