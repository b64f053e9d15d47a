"""What AWS does and LocalStack does not, injected while resources of a deployment are made."""

import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import patience, roles
from infra.blueprint import Blueprint
from infra.ownership import NotOurs
from infra.resources import titles
from infra.resources.bucket import Bucket
from infra.resources.function import Function
from infra.resources.role import IamRole
from infra.settings import DeploymentSettings
from tests.aws.pretended_aws import REGION, PretendedAws
from tests.aws.rules import Fault
from tests.aws.wire import Asked, AwsError

HANDLER = Path(__file__).parents[2] / "containers" / "lambda" / "handler.py"
NOT_BY_LAMBDA = AwsError("InvalidParameterValueException", "The role cannot be assumed by Lambda.")
BUSY = AwsError("ResourceConflictException", "The operation cannot be performed at this time.", 409)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def blueprint(aws: PretendedAws) -> Blueprint:
    """Of a project that no other test has."""
    account = aws.client("sts").get_caller_identity()["Account"]
    return Blueprint(DeploymentSettings(project=f"p{uuid.uuid4().hex[:10]}"), account, "ab" * 32)


def clients(aws: PretendedAws) -> Any:
    """Those that the resources here use."""
    return SimpleNamespace(lambda_=aws.client("lambda"), iam=aws.client("iam"), poll_s=0.1, region=REGION)


def made_role(aws: PretendedAws, blueprint: Blueprint) -> IamRole:
    role = IamRole(aws.client("iam"), roles.function(blueprint), titles.LAMBDA_ROLE, blueprint.tags)
    role.create()
    return role


def of(member: str, name: str) -> Any:
    """Calls whose request has this name."""

    def matches(asked: Asked) -> bool:
        return bool(asked.members.get(member) == name)

    return matches


def test_a_function_waits_until_its_new_role_is_known(aws: PretendedAws, blueprint: Blueprint) -> None:
    role, one = made_role(aws, blueprint), Function(clients(aws), blueprint, HANDLER)
    state = role.read()
    assert state is not None
    assert role.diff(state) == []
    with aws.injected(Fault("lambda", "CreateFunction", NOT_BY_LAMBDA, last=3, matches=of("FunctionName", one.name))):
        one.create()
    calls = [call for call in aws.calls("lambda", "CreateFunction") if call.members["FunctionName"] == one.name]
    assert [call.status for call in calls] == [400, 400, 400, 201]
    found = one.read()
    assert found is not None
    assert one.diff(found) == []


def test_a_function_in_change_is_waited_for(aws: PretendedAws, blueprint: Blueprint) -> None:
    made_role(aws, blueprint)
    one = Function(clients(aws), blueprint, HANDLER)
    one.create()
    aws.client("lambda").update_function_configuration(FunctionName=one.name, MemorySize=512)
    found = one.read()
    assert found is not None
    changes = one.diff(found)
    assert "MemorySize" in [change.member for change in changes]
    fault = Fault("lambda", "UpdateFunctionConfiguration", BUSY, last=2, matches=of("FunctionName", one.name))
    with aws.injected(fault):
        one.update(found, changes)
    assert aws.client("lambda").get_function_configuration(FunctionName=one.name)["MemorySize"] == 256


def test_a_role_and_a_bucket_of_somebody_else_are_not_touched(aws: PretendedAws, blueprint: Blueprint) -> None:
    iam, s3, role = aws.client("iam"), aws.client("s3"), roles.function(blueprint)
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    with pytest.raises(NotOurs, match="has no tag stagemaker:project"):
        IamRole(iam, role, titles.LAMBDA_ROLE, blueprint.tags).read()
    s3.create_bucket(Bucket=blueprint.bucket)
    s3.put_object(Bucket=blueprint.bucket, Key="theirs", Body=b"x")
    with pytest.raises(NotOurs, match="has no tag stagemaker:project"):
        Bucket(s3, blueprint.bucket, REGION, blueprint.tags).read()


def test_a_bucket_that_is_in_change_is_tried_again_and_has_its_tags(aws: PretendedAws, blueprint: Blueprint) -> None:
    aborted = AwsError("OperationAborted", "A conflicting conditional operation is currently in progress.", 409)
    one = Bucket(aws.client("s3"), blueprint.bucket, REGION, blueprint.tags)
    assert one.read() is None
    with aws.injected(Fault("s3", "CreateBucket", aborted, last=2, matches=of("Bucket", blueprint.bucket))):
        one.create()
    found = one.read()
    assert found is not None
    assert one.diff(found) == []


def test_a_bucket_that_others_have_opened_is_closed_again(aws: PretendedAws, blueprint: Blueprint) -> None:
    s3, named = aws.client("s3"), {"Bucket": blueprint.bucket}
    one = Bucket(s3, blueprint.bucket, REGION, blueprint.tags)
    one.create()
    s3.delete_bucket_policy(**named)
    s3.delete_public_access_block(**named)
    s3.put_bucket_ownership_controls(
        **named, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    found = one.read()
    assert found is not None
    changes = one.diff(found)
    assert {change.member for change in changes} >= {"BlockPublicAcls", "ObjectOwnership", "statement OnlyTls"}
    one.update(found, changes)
    found = one.read()
    assert found is not None
    assert one.diff(found) == []
    s3.put_object(**named, Key="a", Body=b"x")  # over https, as AWS's clients call


def test_the_rule_for_unfinished_uploads_comes_back_beside_those_of_others(
    aws: PretendedAws, blueprint: Blueprint
) -> None:
    s3, named = aws.client("s3"), {"Bucket": blueprint.bucket}
    one = Bucket(s3, blueprint.bucket, REGION, blueprint.tags)
    one.create()
    (ours,) = s3.get_bucket_lifecycle_configuration(**named)["Rules"]
    assert ours["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(**named, LifecycleConfiguration={"Rules": [theirs]})
    found = one.read()
    assert found is not None
    one.update(found, one.diff(found))
    assert s3.get_bucket_lifecycle_configuration(**named)["Rules"] == [theirs, ours]
    found = one.read()
    assert found is not None
    assert one.diff(found) == []


def test_a_bucket_whose_name_is_taken_is_refused(aws: PretendedAws, blueprint: Blueprint) -> None:
    taken = AwsError("BucketAlreadyExists", "The requested bucket name is not available.", 409)
    fault = Fault("s3", "CreateBucket", taken, matches=of("Bucket", blueprint.bucket))
    with aws.injected(fault), pytest.raises(NotOurs, match="belongs to someone else"):
        Bucket(aws.client("s3"), blueprint.bucket, REGION, blueprint.tags).create()
