"""A log group with a key: made with it, changed to another, without one again, and what is said where the key's policy
does not let CloudWatch Logs use it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.engine import apply_one
from infra.errors import StepFailed
from infra.resources.logs import LogGroup
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

NAME = "/aws/lambda/demo-proxy"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER = KEY.replace("1234abcd-", "5678abcd-")
TAGS = [{"Key": "stagemaker:project", "Value": "demo"}]
# As https://github.com/hashicorp/terraform-provider-aws/issues/29282 has it.
NOT_ALLOWED = "The specified KMS key does not exist or is not allowed to be used with Arn 'arn:aws:logs:...'"


def logs(key: str | None = None, *, there: bool = True) -> FakeClient:
    """CloudWatch Logs with the group, and one that is named alike."""
    groups: list[dict[str, Any]] = [{"logGroupName": f"{NAME}-2", "kmsKeyId": OTHER}]
    if there:
        groups.append({"logGroupName": NAME, **({"kmsKeyId": key} if key else {})})
    return FakeClient({"describe_log_groups": {"logGroups": groups}})


def group(client: FakeClient, key: str = KEY) -> LogGroup:
    return LogGroup(client, NAME, "Log of the function", key, TAGS)


def test_one_that_is_not_there_is_made_with_the_key_and_the_tags() -> None:
    client = logs(there=False)
    assert apply_one(group(client)) == ("create", "")
    _, request = client.calls[-1]
    check("logs", "CreateLogGroup", request)
    assert request == {"logGroupName": NAME, "kmsKeyId": KEY, "tags": {"stagemaker:project": "demo"}}


@pytest.mark.parametrize(
    ("found", "wanted", "call"),
    [
        (None, KEY, ("associate_kms_key", {"logGroupName": NAME, "kmsKeyId": KEY})),
        (OTHER, KEY, ("associate_kms_key", {"logGroupName": NAME, "kmsKeyId": KEY})),
        (KEY, "", ("disassociate_kms_key", {"logGroupName": NAME})),
    ],
)
def test_another_key_is_put_right(found: str | None, wanted: str, call: tuple[str, dict[str, Any]]) -> None:
    client = logs(found)
    one = group(client, wanted)
    (change,) = one.diff(one.read() or {})
    assert (change.member, change.old, change.new) == ("kmsKeyId", found, wanted or None)
    assert apply_one(one)[0] == "update"
    assert client.calls[-1] == call
    check("logs", call[0].title().replace("_", ""), call[1])


@pytest.mark.parametrize(("found", "wanted"), [(KEY, KEY), (None, "")])
def test_one_as_it_should_be_is_left_alone(found: str | None, wanted: str) -> None:
    client = logs(found)
    assert apply_one(group(client, wanted))[0] == "unchanged"
    assert client.names() == ["describe_log_groups"]


@pytest.mark.parametrize(("key", "there", "has"), [(KEY, True, True), (None, True, False), (None, False, False)])
def test_whether_a_key_encrypts_it(key: str | None, *, there: bool, has: bool) -> None:
    assert group(logs(key, there=there), "").has_key() is has


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException"])
@pytest.mark.parametrize("operation", ["create_log_group", "associate_kms_key"])
def test_a_key_that_cloudwatch_logs_may_not_use(operation: str, code: str) -> None:
    client = logs(there=operation == "associate_kms_key")
    client.answers[operation] = ClientError({"Error": {"Code": code, "Message": NOT_ALLOWED}}, operation)
    with pytest.raises(StepFailed) as caught:
        apply_one(group(client))
    assert caught.value.reason.startswith(f"CloudWatch Logs may not use the KMS key for the log group {NAME}: The spec")
    assert "ROLE=key" in caught.value.next_step


def test_another_refusal_is_aws_s_own() -> None:
    client = logs(there=False)
    said = "User: u is not authorized to perform: logs:CreateLogGroup"
    client.answers["create_log_group"] = ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "C")
    with pytest.raises(ClientError, match="not authorized"):
        apply_one(group(client))
