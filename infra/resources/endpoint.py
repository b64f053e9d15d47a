"""The endpoint and its configuration. A configuration cannot change on AWS; the endpoint moves from one to the next."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from infra import ownership, shortage
from infra.blueprint import endpoint_logs, scalable
from infra.clients import Clients
from infra.errors import StepFailed
from infra.patience import SEEN_LIMIT_S, patiently, says, watch
from infra.resources import titles
from infra.resources.logs import tail
from infra.resources.resource import Change, FixedResource, Resource, State, differences, find
from infra.wait import poll, say

WAIT_LIMIT_S = 1800.0  # AWS takes some minutes to find instances
_BUSY = ("ValidationException", "in-progress endpoint")  # AWS's words for a change that is going on
AT_REST = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


class EndpointConfiguration(FixedResource):
    """An endpoint configuration, whose name carries a fingerprint of its variant. To read and delete one, a request
    that holds only EndpointConfigName is enough."""

    def __init__(self, sagemaker: Any, request: Mapping[str, Any], model: str = "") -> None:
        self._sagemaker, self._request = sagemaker, request
        self.title = titles.of_model(titles.ENDPOINT_CONFIGURATION, model)
        self.depends_on = (titles.of_model(titles.MODEL, model),)
        self.name = request["EndpointConfigName"]

    def read(self) -> State | None:
        """DescribeEndpointConfig's answer."""
        return find(self._sagemaker.describe_endpoint_config, EndpointConfigName=self.name)

    def create(self) -> str:
        """Make it: a record, usable at once."""
        self._sagemaker.create_endpoint_config(**self._request)
        return ""

    def delete(self) -> None:
        """Delete the record."""
        self._sagemaker.delete_endpoint_config(EndpointConfigName=self.name)


class Endpoint(Resource):
    """An endpoint, InService with a configuration, which may be empty to read and delete one. Its `tags` are given to a
    new one. With `keeps_capacity` it has as many instances after a move as it had before: it is scaled."""

    def __init__(
        self,
        clients: Clients,
        name: str,
        configuration: str,
        model: str = "",
        *,
        tags: Sequence[Mapping[str, str]] = (),
        keeps_capacity: bool = False,
    ) -> None:
        self._clients, self.name, self._configuration = clients, name, configuration
        self._tags, self._keeps_capacity = tags, keeps_capacity
        self.title = titles.of_model(titles.ENDPOINT, model)
        self.depends_on = titles.of_models((titles.ENDPOINT_CONFIGURATION, titles.ENDPOINT_LOG), model)

    def read(self) -> State | None:
        """DescribeEndpoint's answer. Raises NotOurs when somebody else has made an endpoint of that name."""
        found = self._find()
        if found and self._tags:
            tags = self._clients.sagemaker.list_tags(ResourceArn=found["EndpointArn"])["Tags"]
            ownership.check(self.title, self.name, tags, self._tags)
        return found

    def diff(self, state: State) -> list[Change]:
        """Its status and its configuration. A failed endpoint takes no other configuration: it is made anew, and so is
        one that somebody deletes."""
        if state["EndpointStatus"] in ("Failed", "Deleting"):
            reason = f" ({state['FailureReason']})" if state.get("FailureReason") else ""
            return [Change("EndpointStatus", f"{state['EndpointStatus']}{reason}", "InService", replaces=True)]
        return differences({"EndpointStatus": "InService", "EndpointConfigName": self._configuration}, state)

    def create(self) -> str:
        """Make it, and wait until it is InService. Raises StepFailed with its FailureReason and the end of its log, and
        when the account has too few instances of its type."""
        self._send(partial(self._clients.sagemaker.create_endpoint, **self._names(), Tags=self._tags))
        return self._in_service()

    def update(self, state: State, changes: list[Change]) -> str:
        """Wait until it is at rest, and move it to its configuration. Raises as `create`."""
        found = self._wait()
        if found["EndpointStatus"] == "Failed":
            self.delete()
            return self.create()
        if found["EndpointConfigName"] != self._configuration:
            self._let_go_of_type(found["EndpointConfigName"])
            request = {**self._names(), "RetainAllVariantProperties": self._keeps_capacity}
            self._send(partial(self._clients.sagemaker.update_endpoint, **request))
            self._wait_for_another(found)
        return self._in_service()

    def delete(self) -> None:
        """Delete it once it is at rest, and wait until it is gone. The reason of one that failed is told."""
        deadline = time.monotonic() + WAIT_LIMIT_S
        while (found := self._find()) and found["EndpointStatus"] not in (*AT_REST, "Deleting"):
            self._pause(deadline, f"the end of {found['EndpointStatus']}: AWS deletes no endpoint in change")
        if found and found["EndpointStatus"] != "Deleting":
            if reason := found.get("FailureReason"):
                say(f"had failed: {reason}")
            self._send(partial(self._clients.sagemaker.delete_endpoint, EndpointName=self.name))
        while self._find():
            self._pause(deadline, "its end")

    def remark(self, state: State) -> str:
        """Its configuration."""
        return f"configuration {state['EndpointConfigName']}"

    def _let_go_of_type(self, former: str) -> None:
        """AWS refuses another instance type for a variant that is scaled. Its scaling is made anew after the move."""
        types = [
            self._clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0][
                "InstanceType"
            ]
            for name in (former, self._configuration)
        ]
        if types[0] != types[1]:
            find(self._clients.autoscaling.deregister_scalable_target, **scalable(self.name))

    def _find(self) -> State | None:
        return find(self._clients.sagemaker.describe_endpoint, EndpointName=self.name)

    def _send(self, call: Callable[[], object]) -> None:
        """Make the call once no other change is going on: somebody may have begun one since it was looked at."""
        reason = "another change of the endpoint to end"
        try:
            patiently(call, lambda error: says(error, *_BUSY), reason, WAIT_LIMIT_S)
        except ClientError as error:
            if problem := shortage.of_refusal(error, self._instance_type(), self._clients.region):
                raise problem from error
            raise

    def _wait_for_another(self, former: State) -> None:
        """Until AWS shows another state than the one before a change that it has accepted."""
        before, deadline = former.get("LastModifiedTime"), time.monotonic() + SEEN_LIMIT_S
        while before and (self._find() or {}).get("LastModifiedTime") == before and time.monotonic() < deadline:
            poll(self._clients.poll_s, "the change to be seen")

    def _instance_type(self) -> str:
        configuration = find(self._clients.sagemaker.describe_endpoint_config, EndpointConfigName=self._configuration)
        return str(configuration["ProductionVariants"][0].get("InstanceType", "")) if configuration else ""

    def _names(self) -> dict[str, str]:
        return {"EndpointName": self.name, "EndpointConfigName": self._configuration}

    def _in_service(self) -> str:
        found = self._wait()
        if found["EndpointStatus"] != "InService" or found["EndpointConfigName"] != self._configuration:
            reason = found.get("FailureReason", "no reason was given")
            if problem := shortage.of_failure(reason, self._instance_type()):
                raise problem
            raise StepFailed(
                f"The endpoint {self.name} is {found['EndpointStatus']}: {reason}",
                "Mend what the reason and the log above say, and run it again.",
                tail(self._clients.logs, endpoint_logs(self.name)),
            )
        return self.remark(found)

    def _wait(self) -> dict[str, Any]:
        """Until it is AT_REST."""
        deadline = time.monotonic() + WAIT_LIMIT_S
        describe = partial(self._clients.sagemaker.describe_endpoint, EndpointName=self.name)
        look = watch(describe, f"The endpoint {self.name}")
        while True:
            found: dict[str, Any] = look()
            if found["EndpointStatus"] in AT_REST:
                return found
            is_coming = found["EndpointStatus"] in ("Creating", "Updating")
            self._pause(deadline, "InService" if is_coming else f"the end of {found['EndpointStatus']}")

    def _pause(self, deadline: float, wanted: str) -> None:
        if time.monotonic() > deadline:
            reason = f"The endpoint {self.name} did not settle within {WAIT_LIMIT_S:.0f} s."
            raise StepFailed(reason, "Run this again.")
        poll(self._clients.poll_s, wanted)
