"""The instances of the EC2 host: found by their tags, launched where AWS has capacity, and ended."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from infra import wait
from infra.blueprint import PROJECT_TAG
from infra.clients import Clients
from infra.ec2.requests import RUN_TAG
from infra.ec2.tries import REASONS, Refusal, Try, after, next_step, quota_requests
from infra.errors import StepFailed
from infra.patience import message_of, patiently, unless
from infra.resources import titles
from infra.resources.resource import FixedResource, State, error_code, find

WORKING = ("pending", "running")
ENDING = ("stopping", "stopped", "shutting-down")  # none of these goes on with its run
OVER = ("shutting-down", "terminated")
_END_LIMIT_S = 600.0  # AWS takes a minute or two
_PROFILE_LIMIT_S = 60.0  # until EC2 knows a new instance profile
_MISSING = "InvalidInstanceID.NotFound"  # also of one that was launched a moment ago


def of_project(ec2: Any, project: str, states: Sequence[str] = ()) -> Iterator[Mapping[str, Any]]:
    """The project's hosts in these states, else in any, as DescribeInstances tells them."""
    filters = [
        {"Name": f"tag:{PROJECT_TAG}", "Values": [project]},
        {"Name": "tag-key", "Values": [RUN_TAG]},
        *([{"Name": "instance-state-name", "Values": list(states)}] if states else []),
    ]
    for page in ec2.get_paginator("describe_instances").paginate(Filters=filters):
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def tag(instance: Mapping[str, Any], key: str) -> str:
    """The value of an instance's tag, or nothing."""
    return next((str(one["Value"]) for one in instance.get("Tags", ()) if one["Key"] == key), "")


def describe(ec2: Any, instance_id: str) -> Mapping[str, Any] | None:
    """The instance, or None when AWS does not know it: not yet, or not any more."""
    try:
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    except ClientError as error:
        if error_code(error) != _MISSING:
            raise
        return None
    return found[0]["Instances"][0] if found else None


def launch(
    clients: Clients,
    template: str,
    profile: str,
    instance_type: str,
    tries: Sequence[Try],
    token: str,
    say: Callable[[str], None],
) -> str:
    """Launch one instance of the launch template, which names the instance profile, by the first of the tries that AWS
    takes; its id. `token` makes two launches at the same moment one. Raises StepFailed when none is left."""
    waiting, refusals = tuple(tries), list[Refusal]()
    while waiting:
        one, *rest = waiting
        try:
            return _run(clients, template, profile, one, f"{token}-{len(refusals)}")
        except ClientError as error:
            code = error_code(error)
            if code not in REASONS:
                raise
            refusals.append(Refusal(one, code))
        waiting = after(one, code, rest)
        say(f"AWS has not {refusals[-1]}." + (f" Next: {waiting[0]}." if waiting else ""))
    raise StepFailed(
        f"AWS launches no {instance_type} now.",
        next_step(refusals, instance_type),
        (*map(str, refusals), *quota_requests(refusals, instance_type, clients.region)),
    )


def _run(clients: Clients, template: str, profile: str, one: Try, token: str) -> str:
    """RunInstances. A new instance profile is unknown to EC2 for some seconds, and is waited for. Raises StepFailed for
    one that stays unknown."""
    request: dict[str, Any] = {
        "LaunchTemplate": {"LaunchTemplateName": template, "Version": "$Default"},
        "SubnetId": one.subnet,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
    }
    if one.market == "spot":
        once = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        request["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": once}
    try:
        with unless(lambda: find(clients.iam.get_instance_profile, InstanceProfileName=profile) is None):
            run = partial(clients.ec2.run_instances, **request)
            made = patiently(run, _is_profile, "EC2 to know the new instance profile", _PROFILE_LIMIT_S)
    except ClientError as error:
        if not _is_profile(error):
            raise
        raise StepFailed(
            f"EC2 does not know the instance profile {profile}: {message_of(error)}",
            "Was it deleted meanwhile? Run this again, which makes it anew.",
        ) from error
    return str(made["Instances"][0]["InstanceId"])


def _is_profile(refusal: ClientError) -> bool:
    """Whether EC2 does not know the profile. AWS has no code of its own for it, only the name of the parameter in the
    sentence."""
    return error_code(refusal) == "InvalidParameterValue" and "iamInstanceProfile" in message_of(refusal)


def end(clients: Clients, instance_id: str) -> None:
    """Terminate an instance, and wait until it is. Raises StepFailed when it is not in time."""
    clients.ec2.terminate_instances(InstanceIds=[instance_id])
    waited_s = 0.0
    while (found := describe(clients.ec2, instance_id)) and found["State"]["Name"] != "terminated":
        if waited_s >= _END_LIMIT_S:
            raise StepFailed(
                f"The EC2 host {instance_id} is not terminated after {_END_LIMIT_S:.0f} s.", "Run it again."
            )
        wait.pause(clients.poll_s, "its end")
        waited_s += clients.poll_s


class Ec2Host(FixedResource):
    """One instance that there is, to delete."""

    title = titles.EC2_HOST
    depends_on = (titles.LAUNCH_TEMPLATE, titles.BUCKET)

    def __init__(self, clients: Clients, instance_id: str) -> None:
        self._clients, self.name = clients, instance_id

    def read(self) -> State | None:
        """The instance, until it is terminated."""
        found = describe(self._clients.ec2, self.name)
        return None if found is None or found["State"]["Name"] == "terminated" else found

    def create(self) -> str:
        """Never called: an instance is launched for a run."""
        raise NotImplementedError("an EC2 host is launched by ec2-train")

    def delete(self) -> None:
        """Terminate it, and wait until it is."""
        end(self._clients, self.name)
