"""What is asked about a call: actions, resources, condition keys, and what it needs besides."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stagemaker.access.call import Call, Circumstances, VpcEndpoint
from stagemaker.access.callers import anonymous
from stagemaker.access.questions import Question, UnknownAction, questions_of
from tests.unit.plugin.access.calls import ACCOUNT, REGION, SESSION, USER, FixedLookup, call

SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
IAM = f"arn:aws:iam::{ACCOUNT}"
ROLE = f"{IAM}:role/job"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/r"
OTHER = "444455556666"
LOOKUP = FixedLookup(
    owners={"theirs": OTHER, "mine": ACCOUNT},
    objects={"mine/key": {"Kind": "open"}, "theirs/key": {}},
    paths={"role/job": "/team/", "user/bob": "/x/"},
)


def asked(about: Call) -> list[tuple[str, str]]:
    """The actions and the resources."""
    return [(question.action, question.resource_arn) for question in questions_of(about, USER, LOOKUP)]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (call("s3", "HeadObject", Bucket="mine", Key="key"), [("s3:GetObject", "arn:aws:s3:::mine/key")]),
        (
            call("s3", "GetObject", Bucket="mine", Key="none"),
            [("s3:GetObject", "arn:aws:s3:::mine/none"), ("s3:ListBucket", "arn:aws:s3:::mine")],
        ),
        (
            call("s3", "GetObject", Bucket="mine", Key="key", VersionId="1"),
            [("s3:GetObjectVersion", "arn:aws:s3:::mine/key")],
        ),
        (call("s3", "ListObjectsV2", Bucket="mine"), [("s3:ListBucket", "arn:aws:s3:::mine")]),
        (call("s3", "ListBuckets"), [("s3:ListAllMyBuckets", "*")]),
        (call("s3", "UploadPart", Bucket="mine", Key="a//b"), [("s3:PutObject", "arn:aws:s3:::mine/a//b")]),
        (
            call("s3", "AbortMultipartUpload", Bucket="mine", Key="k"),
            [("s3:AbortMultipartUpload", "arn:aws:s3:::mine/k")],
        ),
        (call("s3", "GetBucketCors", Bucket="mine"), [("s3:GetBucketCORS", "arn:aws:s3:::mine")]),
        (
            call("s3", "CopyObject", Bucket="mine", Key="k", CopySource="theirs/a%20b?versionId=2"),
            [("s3:PutObject", "arn:aws:s3:::mine/k"), ("s3:GetObjectVersion", "arn:aws:s3:::theirs/a b")],
        ),
        (
            call("s3", "CopyObject", Bucket="mine", Key="k", CopySource="/theirs/secret#.txt"),
            [("s3:PutObject", "arn:aws:s3:::mine/k"), ("s3:GetObject", "arn:aws:s3:::theirs/secret")],
        ),
        (
            call("s3", "PutObject", Bucket="mine", Key="k", ACL="private", GrantRead="x", Tagging="a=b"),
            [
                ("s3:PutObject", "arn:aws:s3:::mine/k"),
                ("s3:PutObjectAcl", "arn:aws:s3:::mine/k"),
                ("s3:PutObjectTagging", "arn:aws:s3:::mine/k"),
            ],
        ),
        (
            call(
                "s3", "DeleteObjects", Bucket="mine", Delete={"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]}
            ),
            [("s3:DeleteObject", "arn:aws:s3:::mine/a"), ("s3:DeleteObjectVersion", "arn:aws:s3:::mine/b")],
        ),
        (call("lambda", "Invoke", FunctionName="f", Qualifier="live"), [("lambda:InvokeFunction", f"{LAMBDA}:f:live")]),
        (call("lambda", "Invoke", FunctionName="f:live"), [("lambda:InvokeFunction", f"{LAMBDA}:f:live")]),
        (call("lambda", "Invoke", FunctionName=f"{ACCOUNT}:function:f"), [("lambda:InvokeFunction", f"{LAMBDA}:f")]),
        (
            call("lambda", "Invoke", FunctionName=f"arn:aws:lambda:us-east-1:{OTHER}:function:f"),
            [("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{OTHER}:function:f")],
        ),
        (
            call("lambda", "Invoke", FunctionName=f"us-east-1:{OTHER}:function:f"),
            [("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{OTHER}:function:f")],
        ),
        (call("lambda", "Invoke", FunctionName="f#x"), [("lambda:InvokeFunction", f"{LAMBDA}:f")]),
        (call("lambda", "ListFunctions"), [("lambda:ListFunctions", "*")]),
        (
            call("lambda", "TagResource", Resource=f"{LAMBDA}:f", Tags={"a": "b"}),
            [("lambda:TagResource", f"{LAMBDA}:f")],
        ),
        (
            call("logs", "PutLogEvents", logGroupName="/g", logStreamName="s"),
            [("logs:PutLogEvents", f"{LOGS}:/g:log-stream:s")],
        ),
        (call("logs", "CreateLogGroup", logGroupName="/g"), [("logs:CreateLogGroup", f"{LOGS}:/g:log-stream:")]),
        (
            call("logs", "FilterLogEvents", logGroupIdentifier=f"{LOGS}:/g:*"),
            [("logs:FilterLogEvents", f"{LOGS}:/g:log-stream:")],
        ),
        (
            call("logs", "TagResource", resourceArn=f"{LOGS}:/g", tags={"a": "b"}),
            [("logs:TagResource", f"{LOGS}:/g")],
        ),
        (
            call("cloudwatch", "DeleteAlarms", AlarmNames=["a", "b"]),
            [("cloudwatch:DeleteAlarms", f"{ALARM}:a"), ("cloudwatch:DeleteAlarms", f"{ALARM}:b")],
        ),
        (call("cloudwatch", "DescribeAlarms"), [("cloudwatch:DescribeAlarms", f"{ALARM}:*")]),
        (call("cloudwatch", "PutMetricData", Namespace="n"), [("cloudwatch:PutMetricData", "*")]),
        (call("iam", "GetRole", RoleName="job"), [("iam:GetRole", f"{IAM}:role/team/job")]),
        (call("iam", "CreateRole", RoleName="job", Path="/new/"), [("iam:CreateRole", f"{IAM}:role/new/job")]),
        (call("iam", "GetUser"), [("iam:GetUser", f"{IAM}:user/ann")]),
        (
            call("iam", "AddUserToGroup", GroupName="g", UserName="bob"),
            [("iam:AddUserToGroup", f"{IAM}:group/g")],
        ),
        (
            call("iam", "DeletePolicy", PolicyArn=f"{IAM}:policy/p"),
            [("iam:DeletePolicy", f"{IAM}:policy/p")],
        ),
        (call("iam", "ListRoles"), [("iam:ListRoles", "*")]),
        (call("sts", "GetCallerIdentity"), []),
        (call("sts", "GetSessionToken"), []),
        (
            call("sts", "AssumeRole", RoleArn=ROLE, Tags=[{"Key": "a", "Value": "b"}]),
            [("sts:AssumeRole", ROLE), ("sts:TagSession", ROLE)],
        ),
        (
            call("ecr", "DescribeImages", repositoryName="r", registryId=OTHER),
            [("ecr:DescribeImages", f"arn:aws:ecr:{REGION}:{OTHER}:repository/r")],
        ),
        (
            call("ecr", "DescribeRepositories", repositoryNames=["a", "b"]),
            [
                ("ecr:DescribeRepositories", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/a"),
                ("ecr:DescribeRepositories", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/b"),
            ],
        ),
        (call("ecr", "GetAuthorizationToken"), [("ecr:GetAuthorizationToken", "*")]),
        (
            call("sagemaker", "CreateExperiment", ExperimentName="Mine"),
            [("sagemaker:CreateExperiment", f"{SAGEMAKER}:experiment/mine")],
        ),
        (
            call("sns", "PublishBatch", TopicArn=f"arn:aws:sns:{REGION}:{OTHER}:t"),
            [("sns:Publish", f"arn:aws:sns:{REGION}:{OTHER}:t")],
        ),
        (
            call("sqs", "SendMessage", QueueUrl=f"http://localhost:4566/{ACCOUNT}/q"),
            [("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")],
        ),
        (
            call("sqs", "DeleteMessageBatch", QueueUrl=f"http://localhost:4566/queue/us-east-1/{OTHER}/q/"),
            [("sqs:DeleteMessage", f"arn:aws:sqs:us-east-1:{OTHER}:q")],
        ),
        (
            call("sqs", "ReceiveMessage", QueueUrl=f"http://sqs.us-east-1.localhost:4566/{OTHER}/q"),
            [("sqs:ReceiveMessage", f"arn:aws:sqs:us-east-1:{OTHER}:q")],
        ),
        (
            call("kinesis", "DescribeStream", StreamName="a", StreamARN=f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/b"),
            [("kinesis:DescribeStream", f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}") for name in "ba"],
        ),
        (
            call("dynamodb", "TransactWriteItems", TransactItems=[{"Put": {"TableName": "t"}}]),
            [("dynamodb:PutItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t")],
        ),
        (call("apigateway", "GetRestApis"), [("apigateway:GET", "*")]),
        (call("resourcegroupstaggingapi", "GetResources"), [("tag:GetResources", "*")]),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_actions_and_resources(about: Call, expected: list[tuple[str, str]]) -> None:
    assert asked(about) == expected


def test_an_operation_of_ours_names_its_resources_itself() -> None:
    arns = [f"{SAGEMAKER}:endpoint/e", f"{SAGEMAKER}:endpoint-config/c"]
    about = call("sagemaker", "CreateEndpoint", arns, EndpointName="e", EndpointConfigName="c")
    assert asked(about) == [("sagemaker:CreateEndpoint", arn) for arn in arns]


def test_a_bucket_belongs_to_its_owner_and_a_named_account_owns_its_resource() -> None:
    (read,) = questions_of(call("s3", "GetObject", Bucket="theirs", Key="key"), USER, LOOKUP)
    assert (read.resource_account, read.context["aws:resourceaccount"]) == (OTHER, OTHER)
    (assume,) = questions_of(call("sts", "AssumeRole", RoleArn=f"arn:aws:iam::{OTHER}:role/r"), USER, LOOKUP)
    assert assume.resource_account == OTHER


def test_an_action_that_the_list_does_not_have_is_never_asked() -> None:
    with pytest.raises(UnknownAction, match="iam:UpdateDelegationRequest"):
        asked(call("iam", "UpdateDelegationRequest"))


def test_a_call_about_nothing_is_not_allowed_for_want_of_a_question() -> None:
    with pytest.raises(UnknownAction, match="s3:DeleteObjects"):
        asked(call("s3", "DeleteObjects", Bucket="mine", Delete={"Objects": []}))


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (
            call("sagemaker", "CreateTrainingJob", [f"{SAGEMAKER}:training-job/j"], RoleArn=ROLE),
            [("iam:PassRole", ROLE)],
        ),
        (
            call(
                "sagemaker",
                "CreateHyperParameterTuningJob",
                [f"{SAGEMAKER}:hyper-parameter-tuning-job/j"],
                TrainingJobDefinitions=[{"RoleArn": ROLE}, {"RoleArn": f"{ROLE}2"}],
            ),
            [("iam:PassRole", ROLE), ("iam:PassRole", f"{ROLE}2")],
        ),
        (
            call("sagemaker", "CreateModel", [f"{SAGEMAKER}:model/m"], Tags=[{"Key": "a", "Value": "b"}]),
            [("sagemaker:AddTags", f"{SAGEMAKER}:model/m")],
        ),
        (call("lambda", "UpdateFunctionConfiguration", FunctionName="f", Role=ROLE), [("iam:PassRole", ROLE)]),
        (
            call("ec2", "RunInstances", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "host"}),
            [("iam:PassRole", "arn:aws:iam::000000000000:role/host")],
        ),
        (call("lambda", "UpdateFunctionConfiguration", FunctionName="f"), []),
        (
            call("lambda", "CreateFunction", FunctionName="f", Code={"ImageUri": "repo"}),
            [("ecr:BatchGetImage", "arn:repo"), ("ecr:GetDownloadUrlForLayer", "arn:repo")],
        ),
        (
            call("lambda", "CreateFunction", FunctionName="f", Code={"S3Bucket": "b", "S3Key": "k"}),
            [("s3:GetObject", "arn:aws:s3:::b/k")],
        ),
        (
            call("lambda", "UpdateFunctionCode", FunctionName="f", S3Bucket="b", S3Key="k", S3ObjectVersion="1"),
            [("s3:GetObjectVersion", "arn:aws:s3:::b/k")],
        ),
        (call("events", "PutTargets", Rule="r", Targets=[{"RoleArn": ROLE}]), [("iam:PassRole", ROLE)]),
        (
            call("logs", "CreateLogGroup", logGroupName="/g", tags={"a": "b"}),
            [("logs:TagResource", f"{LOGS}:/g")],
        ),
        (
            call("iam", "CreateRole", RoleName="r", Tags=[{"Key": "a", "Value": "b"}]),
            [("iam:TagRole", f"{IAM}:role/r")],
        ),
        (
            call(
                "application-autoscaling",
                "RegisterScalableTarget",
                ["arn:aws:application-autoscaling:::x"],
                ServiceNamespace="sagemaker",
                ResourceId="endpoint/E/variant/v",
                RoleARN=f"{IAM}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/X",
            ),
            [
                ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/e"),
                ("sagemaker:UpdateEndpointWeightsAndCapacities", f"{SAGEMAKER}:endpoint/e"),
                ("sagemaker:DescribeEndpointConfig", f"{SAGEMAKER}:endpoint-config/c"),
            ],
        ),
        (
            call(
                "application-autoscaling",
                "PutScalingPolicy",
                ["arn:aws:application-autoscaling:::x"],
                ServiceNamespace="sagemaker",
                ResourceId="endpoint/e/variant/v",
                PolicyType="TargetTrackingScaling",
            ),
            [
                ("cloudwatch:PutMetricAlarm", f"{ALARM}:TargetTracking-endpoint/e/variant/v"),
                ("cloudwatch:DescribeAlarms", f"{ALARM}:TargetTracking-endpoint/e/variant/v"),
            ],
        ),
        (
            call("sagemaker", "DeleteEndpoint", [f"{SAGEMAKER}:endpoint/e"], EndpointName="e"),
            [("application-autoscaling:DeregisterScalableTarget", "arn:target")],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_what_a_call_needs_besides(about: Call, expected: list[tuple[str, str]]) -> None:
    lookup = FixedLookup(
        targets=["arn:target"], config=f"{SAGEMAKER}:endpoint-config/c", repositories={"repo": "arn:repo"}
    )
    own = {(about.name, arn) for arn in about.resources or ()}
    found = [(one.action, one.resource_arn) for one in questions_of(about, USER, lookup)]
    assert [one for one in found if one not in own and one[0] != about.name] == expected


def test_pass_role_knows_the_service_and_the_resource() -> None:
    arn = f"{SAGEMAKER}:training-job/j"
    _, passes = questions_of(call("sagemaker", "CreateTrainingJob", [arn], RoleArn=ROLE), USER, LOOKUP)
    assert passes.context["iam:passedtoservice"] == "sagemaker.amazonaws.com"
    assert passes.context["iam:associatedresourcearn"] == arn
    assert passes.because == "sagemaker:CreateTrainingJob"


def context(about: Call, lookup: FixedLookup = LOOKUP) -> Mapping[str, Any]:
    """Of the first question."""
    first: Question = questions_of(about, USER, lookup)[0]
    return first.context


def test_every_question_knows_who_asks_when_and_how() -> None:
    found = context(call("sagemaker", "ListModels"), FixedLookup(tags={"principal": {"Team": "red"}}))
    assert dict(found) == {
        "aws:currenttime": "2026-11-27T05:00:00Z",
        "aws:epochtime": "1795755600",
        "aws:principalaccount": ACCOUNT,
        "aws:principalarn": USER.principal.arn,
        "aws:principalisawsservice": "false",
        "aws:principaltag/team": "red",
        "aws:principaltype": "User",
        "aws:requestedregion": REGION,
        "aws:resourceaccount": ACCOUNT,
        "aws:securetransport": "true",
        "aws:sourceip": "192.0.2.1",
        "aws:useragent": "Boto3",
        "aws:userid": "AIDA1",
        "aws:username": "ann",
        "aws:viaawsservice": "false",
    }


def test_a_session_is_its_role_and_nobody_is_anonymous() -> None:
    about = call("sagemaker", "ListModels")
    session = questions_of(about, SESSION, LOOKUP)[0].context
    assert session["aws:principalarn"] == f"{IAM}:role/team/job"
    assert session["aws:principaltype"] == "AssumedRole"
    assert session["aws:tokenissuetime"] == "2023-11-14T22:13:20Z"
    nobody = questions_of(about, anonymous("192.0.2.2"), LOOKUP)[0].context
    assert (nobody["aws:principaltype"], nobody["aws:userid"]) == ("Anonymous", "anonymous")
    assert "aws:principalarn" not in nobody


def test_a_job_shows_its_machines_networks_and_keys() -> None:
    request = {
        "ResourceConfig": {
            "InstanceGroups": [{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.p3.2xlarge"}],
            "VolumeKmsKeyId": "arn:k1",
        },
        "OutputDataConfig": {"KmsKeyId": "arn:k2"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "VpcConfig": {"Subnets": ["s1"], "SecurityGroupIds": ["g1", "g2"]},
        "EnableNetworkIsolation": True,
        "Tags": [{"Key": "Team", "Value": "red"}],
    }
    found = context(call("sagemaker", "CreateTrainingJob", [f"{SAGEMAKER}:training-job/j"], **request))
    expected = {
        "sagemaker:instancetypes": ("ml.m5.large", "ml.p3.2xlarge"),
        "sagemaker:volumekmskeyarn": "arn:k1",
        "sagemaker:volumekmskey": "arn:k1",
        "sagemaker:outputkmskeyarn": "arn:k2",
        "sagemaker:maxruntimeinseconds": "60",
        "sagemaker:vpcsubnets": ("s1",),
        "sagemaker:vpcsecuritygroupids": ("g1", "g2"),
        "sagemaker:networkisolation": "true",
        "sagemaker:intercontainertrafficencryption": "false",
        "aws:requesttag/team": "red",
        "aws:tagkeys": ("Team",),
    }
    assert {key: found.get(key) for key in expected} == expected


def test_names_that_a_caller_chooses_are_no_condition_keys() -> None:
    request = {
        "StoppingCondition": {"MaxRuntimeInSeconds": 90000},
        "HyperParameters": {"MaxRuntimeInSeconds": "1", "InstanceType": "ml.t3.medium"},
        "Environment": {"MaxRuntimeInSeconds": "1"},
    }
    found = context(call("sagemaker", "CreateTrainingJob", [f"{SAGEMAKER}:training-job/j"], **request))
    assert found["sagemaker:maxruntimeinseconds"] == "90000"
    assert "sagemaker:instancetypes" not in found


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (
            call("sagemaker-runtime", "InvokeEndpoint", [f"{SAGEMAKER}:endpoint/e"], TargetModel="m", Body=b"x"),
            {"sagemaker:targetmodel": "m"},
        ),
        (
            call("sagemaker-runtime", "InvokeEndpoint", [f"{SAGEMAKER}:endpoint/e"], TargetContainerHostname="h"),
            {"sagemaker:targetcontainerhostname": "h"},
        ),
        (call("cloudwatch", "PutMetricData", Namespace="n"), {"cloudwatch:namespace": "n"}),
        (
            call("cloudwatch", "PutMetricAlarm", AlarmName="a", OKActions=["arn:a"], AlarmActions=["arn:b"]),
            {"cloudwatch:alarmactions": ("arn:b", "arn:a")},
        ),
        (
            call(
                "application-autoscaling",
                "PutScheduledAction",
                ["arn:aws:application-autoscaling:::x"],
                ServiceNamespace="sagemaker",
                ScalableDimension="d",
            ),
            {
                "application-autoscaling:service-namespace": "sagemaker",
                "application-autoscaling:scalable-dimension": "d",
            },
        ),
        (
            call("s3", "ListObjectsV2", Bucket="mine", Prefix="p", Delimiter="/", MaxKeys=5),
            {"s3:prefix": "p", "s3:delimiter": "/", "s3:max-keys": "5"},
        ),
        (call("s3", "GetObject", Bucket="mine", Key="key"), {"s3:existingobjecttag/kind": "open"}),
        (
            call("iam", "AttachRolePolicy", RoleName="job", PolicyArn="arn:p"),
            {"iam:policyarn": "arn:p", "iam:permissionsboundary": None},
        ),
        (
            call("iam", "CreateUser", UserName="u", PermissionsBoundary="arn:b"),
            {"iam:permissionsboundary": "arn:b"},
        ),
        (
            call("sts", "AssumeRole", RoleArn=ROLE, ExternalId="e", RoleSessionName="s"),
            {"sts:externalid": "e", "sts:rolesessionname": "s"},
        ),
        (
            call("lambda", "AddPermission", FunctionName="f", Principal="p", FunctionUrlAuthType="NONE"),
            {"lambda:principal": "p", "lambda:functionurlauthtype": "NONE"},
        ),
        (
            call("lambda", "CreateEventSourceMapping", FunctionName="f"),
            {"lambda:functionarn": f"{LAMBDA}:f"},
        ),
        (
            call("ecr", "TagResource", resourceArn=REPOSITORY, tags=[{"Key": "a", "Value": "b"}]),
            {"aws:requesttag/a": "b", "aws:tagkeys": ("a",)},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_the_keys_of_services(about: Call, expected: Mapping[str, Any]) -> None:
    found = context(about)
    assert {key: found.get(key) for key in expected} == expected


def test_a_boundary_and_tags_of_what_is_there_already() -> None:
    arn = f"{IAM}:role/job"
    lookup = FixedLookup(boundaries={"role/job": "arn:b"}, tags={arn: {"Team": "red"}})
    found = context(call("iam", "PutRolePolicy", RoleName="job"), lookup)
    assert found["iam:permissionsboundary"] == "arn:b"
    assert found["iam:resourcetag/team"] == found["aws:resourcetag/team"] == "red"


def test_headers_of_s3_are_condition_keys() -> None:
    how = Circumstances(1000.0, headers={"x-amz-acl": "private", "x-amz-server-side-encryption": "aws:kms",
                                         "x-amz-object-lock-mode": "GOVERNANCE", "x-amz-unknown": "x"},
                        is_presigned=True, signed_s=990.0)  # fmt: skip
    found = context(replace(call("s3", "PutObject", Bucket="mine", Key="k"), circumstances=how))
    expected = {
        "s3:x-amz-acl": "private",
        "s3:x-amz-server-side-encryption": "aws:kms",
        "s3:object-lock-mode": "GOVERNANCE",
        "s3:authtype": "REST-QUERY-STRING",
        "s3:signatureage": "10000",
        "s3:x-amz-unknown": None,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_only_calls_to_s3_from_a_subnet_with_a_gateway_have_its_keys() -> None:
    lookup = replace(LOOKUP, gateways={"subnet-1": VpcEndpoint("vpce-1", "vpc-1", "{}")})
    inside, elsewhere = replace(SESSION, subnet="subnet-1"), replace(SESSION, subnet="subnet-2")
    read, models = call("s3", "GetObject", Bucket="mine", Key="key"), call("sagemaker", "ListModels")
    context = questions_of(read, inside, lookup)[0].context
    assert (context["aws:sourcevpce"], context["aws:sourcevpc"]) == ("vpce-1", "vpc-1")
    assert "aws:sourceip" not in context
    for about, caller in ((read, elsewhere), (read, SESSION), (models, inside)):
        context = questions_of(about, caller, lookup)[0].context
        assert not {"aws:sourcevpce", "aws:sourcevpc"} & context.keys()
        assert context["aws:sourceip"] == "127.0.0.1"
