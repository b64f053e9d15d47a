"""AWS's list of actions, and that every operation of a service has one in it."""

import pytest

from stagemaker.access.catalog import fill, find_action
from stagemaker.access.questions import UnknownAction, questions_of
from tests.unit.plugin.access.calls import USER, FixedLookup, call, model

# Operations that no policy can allow here, by service: those that AWS's list lacks, or that name nothing that is asked.
UNKNOWN = {
    "sagemaker": set(),
    "sagemaker-runtime": set(),
    "application-autoscaling": set(),
    "ecr": {"ListImageReferrers"},
    "lambda": set(),
    "s3": {
        "CreateBucketMetadataConfiguration",
        "CreateSession",
        "DeleteBucketMetadataConfiguration",
        "DeleteObjects",  # without a bucket
        "GetBucketMetadataConfiguration",
        "RenameObject",
        "WriteGetObjectResponse",
    },
    "logs": {"GetLogObject"},
    "cloudwatch": {"DescribeAlarmContributors"},
    "iam": {"UpdateDelegationRequest"},
    "sts": set(),
    "dynamodb": {
        "BatchExecuteStatement",
        "ExecuteStatement",
        "ExecuteTransaction",
        "TransactGetItems",  # without items
        "TransactWriteItems",
    },
    "sns": set(),
    "sqs": set(),
    "kms": set(),
    "events": set(),
    "kinesis": set(),
    "secretsmanager": set(),
    "stepfunctions": set(),
    "cloudformation": set(),
    "apigateway": set(),
    "resourcegroupstaggingapi": set(),
}


@pytest.mark.parametrize("service", UNKNOWN)
def test_every_operation_of_a_service_has_an_action(service: str) -> None:
    """Also of a request without members, which asks for everything."""
    unknown = set()
    for operation in model(service).operation_names:
        try:
            found = questions_of(call(service, operation), USER, FixedLookup())
        except UnknownAction:
            unknown.add(operation)
        else:
            assert found or operation in ("GetCallerIdentity", "GetSessionToken"), operation
    assert unknown == UNKNOWN[service]


def test_an_action_has_aws_s_spelling_its_resources_and_its_keys() -> None:
    action = find_action("sagemaker", "CREATETRAININGJOB")
    assert action is not None
    assert action.name == "sagemaker:CreateTrainingJob"
    assert "training-job" in [kind.name for kind in action.resources if kind.required]
    assert action.keys["sagemaker:instancetypes"] is True
    assert action.keys["sagemaker:maxruntimeinseconds"] is False
    assert action.knows("aws:requesttag/team")
    assert action.knows("aws:sourceip")
    assert not action.knows("sagemaker:targetmodel")
    assert find_action("sagemaker", "CreateNothing") is find_action("nothing", "Create") is None


def test_the_form_of_an_arn_is_filled() -> None:
    values = {"Partition": "aws", "Region": "r", "Account": "1", "FunctionName": "f"}
    assert fill("arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}", values) == (
        "arn:aws:lambda:r:1:function:f"
    )
