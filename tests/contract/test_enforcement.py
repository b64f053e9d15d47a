"""IAM is asked about each call of each service, and its refusals are AWS's."""

import http.client
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from stagemaker.access.callers import Caller
from stagemaker.access.enforce import Seen
from stagemaker.access.evaluate import Decision, Outcome, Source
from stagemaker.access.questions import Question
from stagemaker.access.request import Principal
from stagemaker.adapters.enforcement import logged
from tests.contract.endpoints import host
from tests.contract.gateway import REGION, Gateway, endpoint_gone, make_role, training_request
from tests.contract.users import allow, assumed, deny, make_user, policy, unique

ACCOUNT, OTHER = "000000000000", "111111111111"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"


def refused(call: Any, **request: Any) -> tuple[str, str, int]:
    """The code, the message and the status of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def page(gateway: Gateway, host: str) -> tuple[int, bytes]:
    """The status and the body of the first page of a host."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_user_without_a_policy_is_refused_by_each_service_in_its_own_way(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway)
    because = "because no identity-based policy allows the {0} action"
    for service, operation, request, action, arn, code, status in (
        (
            "sagemaker",
            "describe_endpoint",
            {"EndpointName": "Mine"},
            "sagemaker:DescribeEndpoint",
            f"{SAGEMAKER}:endpoint/mine",
            "AccessDeniedException",
            400,
        ),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            {"EndpointName": "mine", "Body": b"x"},
            "sagemaker:InvokeEndpoint",
            f"{SAGEMAKER}:endpoint/mine",
            "AccessDeniedException",
            403,
        ),
        ("sagemaker", "list_models", {}, "sagemaker:ListModels", "*", "AccessDeniedException", 400),
        (
            "ecr",
            "describe_images",
            {"repositoryName": "mine"},
            "ecr:DescribeImages",
            f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/mine",
            "AccessDeniedException",
            400,
        ),
        (
            "logs",
            "put_log_events",
            {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
            "logs:PutLogEvents",
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/g:log-stream:s",
            "AccessDeniedException",
            400,
        ),
        ("iam", "list_roles", {}, "iam:ListRoles", "*", "AccessDenied", 403),
        (
            "lambda",
            "get_function",
            {"FunctionName": "mine"},
            "lambda:GetFunction",
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mine",
            "AccessDeniedException",
            403,
        ),
        ("cloudwatch", "list_metrics", {}, "cloudwatch:ListMetrics", "*", "AccessDenied", 403),
        ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "sagemaker"},
         "application-autoscaling:DescribeScalableTargets", "*", "AccessDeniedException", 400),
        ("sqs", "list_queues", {}, "sqs:ListQueues", "*", "AccessDenied", 403),
        ("dynamodb", "list_tables", {}, "dynamodb:ListTables", "*", "AccessDeniedException", 400),
    ):  # fmt: skip
        found = refused(getattr(user.client(service), operation), **request)
        sentence = (
            f"User: {user.arn} is not authorized to perform: {action} on resource: {arn} {because.format(action)}"
        )
        assert found == (code, sentence, status), service


def test_s3_names_the_resource_in_quotes_and_tells_other_accounts_nothing(strict_gateway: Gateway) -> None:
    user, stranger = make_user(strict_gateway), make_user(strict_gateway, account=OTHER)
    code, message, status = refused(user.client("s3").put_object, Bucket="data", Key="x", Body=b"x")
    assert (code, status) == ("AccessDenied", 403)
    assert f'User: {user.arn} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::data/x"' in message
    assert refused(stranger.client("s3").get_object, Bucket="data", Key="train/cat/1.txt")[:2] == (
        "AccessDenied",
        "Access Denied",
    )


def test_s3_refuses_a_call_that_expects_another_owner_of_the_bucket(strict_gateway: Gateway) -> None:
    root, bucket = strict_gateway.client("s3"), unique("owned")
    root.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    whole = {"Bucket": bucket, "Key": "a", "Body": b"x"}
    copied = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    listed = {"Bucket": bucket}
    for operation, member, request in (
        (root.put_object, "ExpectedBucketOwner", whole),
        (root.list_objects_v2, "ExpectedBucketOwner", listed),
        (root.copy_object, "ExpectedBucketOwner", copied),
        (root.copy_object, "ExpectedSourceBucketOwner", copied),
    ):
        assert refused(operation, **request, **{member: OTHER}) == ("AccessDenied", "Access Denied", 403)
        operation(**request, **{member: ACCOUNT})


def test_a_policy_acts_on_the_next_call_and_so_does_its_end(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway)
    s3 = user.client("s3")
    read = {"Bucket": "data", "Key": "train/cat/1.txt"}
    for _ in range(3):
        assert refused(s3.get_object, **read)[0] == "AccessDenied"
        user.allow(allow("s3:GetObject", "arn:aws:s3:::data/train/*"))
        assert s3.get_object(**read)["Body"].read() == b"cat"
        assert s3.head_object(**read)["ContentLength"] == 3
        user.allow()


def test_an_explicit_deny_is_named_with_its_policy(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, allow("*"), deny("sagemaker:ListModels"))
    _, message, _ = refused(user.client("sagemaker").list_models)
    assert message.endswith("on resource: * with an explicit deny in an identity-based policy")
    assert user.client("sagemaker").list_endpoints() is not None


def test_groups_managed_policies_and_a_boundary_count(strict_gateway: Gateway) -> None:
    iam, user, group = strict_gateway.client("iam"), make_user(strict_gateway), unique("group")
    models = user.client("sagemaker").list_models
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=user.name)
    made = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=policy(allow("sagemaker:List*")))["Policy"]
    iam.attach_group_policy(GroupName=group, PolicyArn=made["Arn"])
    assert models() is not None
    version = iam.create_policy_version(PolicyArn=made["Arn"], PolicyDocument=policy(allow("s3:*")), SetAsDefault=True)
    assert refused(models)[0] == "AccessDeniedException"
    iam.set_default_policy_version(PolicyArn=made["Arn"], VersionId="v1")
    assert models() is not None
    assert version["PolicyVersion"]["VersionId"] == "v2"
    boundary = iam.create_policy(PolicyName=unique("boundary"), PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
    assert "because no permissions boundary allows the sagemaker:ListModels action" in refused(models)[1]
    iam.delete_user_permissions_boundary(UserName=user.name)
    assert models() is not None


def test_an_aws_managed_policy_can_be_attached(strict_gateway: Gateway) -> None:
    iam, user = strict_gateway.client("iam"), make_user(strict_gateway)
    iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    assert user.client("s3").list_objects_v2(Bucket="data")["KeyCount"] >= 2
    assert refused(user.client("s3").delete_object, Bucket="data", Key="none")[0] == "AccessDenied"


def test_a_session_has_the_rights_of_its_role_within_its_session_policy(strict_gateway: Gateway) -> None:
    iam, user, name = strict_gateway.client("iam"), make_user(strict_gateway), unique("role")
    trust = policy({"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}})  # fmt: skip
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("sagemaker:*")))
    sts = user.client("sts")
    code, message, status = refused(sts.assume_role, RoleArn=arn, RoleSessionName="test")
    assert (code, status) == ("AccessDenied", 403)
    assert message == f"User: {user.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    assert assumed(strict_gateway, sts, arn, "sagemaker", ExternalId="secret").list_models() is not None
    narrow = policy(allow("sagemaker:ListEndpoints"))
    session = assumed(strict_gateway, sts, arn, "sagemaker", ExternalId="secret", Policy=narrow)
    assert session.list_endpoints() is not None
    _, message, _ = refused(session.list_models)
    assert message.startswith(f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/test is not authorized")
    assert message.endswith("because no session policy allows the sagemaker:ListModels action")
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("s3:*")))
    assert refused(session.list_endpoints)[0] == "AccessDeniedException"


def test_everybody_may_ask_who_they_are(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, deny("*"))
    assert user.client("sts").get_caller_identity()["Arn"] == user.arn


def test_a_bucket_policy_grants_and_denies(strict_gateway: Gateway) -> None:
    root, user, stranger = (
        strict_gateway.client("s3"),
        make_user(strict_gateway),
        make_user(strict_gateway, account=OTHER),
    )
    bucket = unique("bucket")
    root.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    root.put_object(Bucket=bucket, Key="a/1", Body=b"one", Tagging="kind=open")
    resource = f"arn:aws:s3:::{bucket}/*"
    grants = {"Effect": "Allow", "Principal": {"AWS": [user.arn, stranger.arn]}, "Action": "s3:GetObject"}
    root.put_bucket_policy(Bucket=bucket, Policy=policy({**grants, "Resource": resource}))
    read = {"Bucket": bucket, "Key": "a/1"}
    assert user.client("s3").get_object(**read)["Body"].read() == b"one"
    assert refused(stranger.client("s3").get_object, **read)[0] == "AccessDenied"  # needs both accounts
    stranger.allow(allow("s3:GetObject", resource))
    assert stranger.client("s3").get_object(**read)["Body"].read() == b"one"
    tagged = {"StringEquals": {"s3:ExistingObjectTag/kind": "closed"}}
    root.put_bucket_policy(Bucket=bucket, Policy=policy({**grants, "Resource": resource, "Condition": tagged}))
    assert refused(user.client("s3").get_object, **read)[0] == "AccessDenied"
    blocks = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    root.put_bucket_policy(Bucket=bucket, Policy=policy({**grants, "Resource": resource}, blocks))
    _, message, _ = refused(user.client("s3").get_object, **read)
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_a_prefix_limits_what_a_user_lists(strict_gateway: Gateway) -> None:
    condition = {"StringLike": {"s3:prefix": ["train/*"]}, "NumericLessThanEquals": {"s3:max-keys": "10"}}
    user = make_user(strict_gateway, allow("s3:ListBucket", "arn:aws:s3:::data", Condition=condition))
    s3 = user.client("s3")
    assert s3.list_objects_v2(Bucket="data", Prefix="train/", MaxKeys=10)["KeyCount"] == 2
    for wrong in ({}, {"Prefix": "train/"}, {"Prefix": "out/", "MaxKeys": 1}, {"Prefix": "train/", "MaxKeys": 11}):
        assert refused(s3.list_objects_v2, Bucket="data", **wrong)[0] == "AccessDenied"


def test_a_missing_object_is_404_for_those_only_who_may_list(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, allow("s3:GetObject", "arn:aws:s3:::data/*"))
    s3 = user.client("s3")
    assert refused(s3.get_object, Bucket="data", Key="none")[0] == "AccessDenied"
    assert refused(s3.head_object, Bucket="data", Key="none")[2] == 403
    user.allow(allow("s3:GetObject", "arn:aws:s3:::data/*"), allow("s3:ListBucket", "arn:aws:s3:::data"))
    assert refused(s3.get_object, Bucket="data", Key="none")[0] == "NoSuchKey"


def test_a_copy_needs_the_source_and_the_target(strict_gateway: Gateway) -> None:
    target, source = "arn:aws:s3:::data/copies/*", "arn:aws:s3:::data/train/*"
    user = make_user(strict_gateway, allow("s3:PutObject", target))
    copy = {
        "Bucket": "data",
        "Key": f"copies/{unique('k')}",
        "CopySource": {"Bucket": "data", "Key": "train/cat/1.txt"},
    }
    s3 = user.client("s3")
    assert '"arn:aws:s3:::data/train/cat/1.txt"' in refused(s3.copy_object, **copy)[1]
    user.allow(allow("s3:PutObject", target), allow("s3:GetObject", source))
    assert s3.copy_object(**copy)["CopyObjectResult"]["ETag"]


def test_delete_objects_deletes_what_it_may_and_names_the_rest(strict_gateway: Gateway) -> None:
    prefix, root = unique("p"), strict_gateway.client("s3")
    for name in ("mine/1", "mine/2", "theirs/1"):
        root.put_object(Bucket="data", Key=f"{prefix}/{name}", Body=b"x")
    user = make_user(strict_gateway, allow("s3:DeleteObject", f"arn:aws:s3:::data/{prefix}/mine/*"))
    keys = [{"Key": f"{prefix}/{name}"} for name in ("mine/1", "theirs/1", "mine/2")]
    answer = user.client("s3").delete_objects(Bucket="data", Delete={"Objects": keys})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == [f"{prefix}/mine/1", f"{prefix}/mine/2"]
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [(f"{prefix}/theirs/1", "AccessDenied")]
    only = user.client("s3").delete_objects(Bucket="data", Delete={"Objects": keys[1:2], "Quiet": True})
    assert len(only["Errors"]) == 1
    assert "Deleted" not in only
    assert [entry["Key"] for entry in root.list_objects_v2(Bucket="data", Prefix=prefix)["Contents"]] == [
        f"{prefix}/theirs/1"
    ]


def test_a_presigned_address_has_the_signers_rights_when_it_is_used(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, allow("s3:GetObject", "arn:aws:s3:::data/*"))
    request = {"Bucket": "data", "Key": "train/cat/1.txt"}
    address = user.client("s3", signature_version="s3v4").generate_presigned_url("get_object", Params=request)
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.read() == b"cat"
    user.allow()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address, timeout=30)
    assert caught.value.code == 403
    caught.value.close()


def test_a_website_shows_what_everybody_may_read(strict_gateway: Gateway) -> None:
    root, bucket = strict_gateway.client("s3"), unique("site")
    root.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    root.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    root.put_object(Bucket=bucket, Key="index.html", Body=b"hello")
    site = f"{bucket}.s3-website.localhost"
    status, body = page(strict_gateway, site)
    assert (status, b"403 Forbidden" in body) == (403, True)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    root.put_bucket_policy(Bucket=bucket, Policy=policy(statement))
    assert page(strict_gateway, site)[0] == 403  # Block Public Access, which every new bucket has
    root.delete_public_access_block(Bucket=bucket)
    assert page(strict_gateway, site) == (200, b"hello")


def test_a_training_job_needs_pass_role_and_its_condition_keys(strict_gateway: Gateway) -> None:
    role = make_role(strict_gateway, unique("job"))
    jobs = f"{SAGEMAKER}:training-job/*"
    small = {
        "ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]},
        "Null": {"sagemaker:InstanceTypes": "false"},
    }
    user = make_user(strict_gateway, allow("sagemaker:CreateTrainingJob", jobs, Condition=small))
    sagemaker, name = user.client("sagemaker"), unique("job")
    request = training_request(name, role)
    _, message, _ = refused(sagemaker.create_training_job, **request)
    assert f"iam:PassRole on resource: {role} because no identity-based policy" in message
    passes = allow("iam:PassRole", role, Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})
    user.allow(allow("sagemaker:CreateTrainingJob", jobs, Condition=small), passes)
    big = {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    assert (
        "sagemaker:CreateTrainingJob" in refused(sagemaker.create_training_job, **{**request, "ResourceConfig": big})[1]
    )
    tagged = {**request, "Tags": [{"Key": "team", "Value": "vision"}]}
    assert "sagemaker:AddTags" in refused(sagemaker.create_training_job, **tagged)[1]
    user.allow(allow(["sagemaker:CreateTrainingJob", "sagemaker:AddTags"], jobs), passes)
    assert sagemaker.create_training_job(**tagged)["TrainingJobArn"].endswith(name)
    strict_gateway.client("sagemaker").stop_training_job(TrainingJobName=name)


def test_lambda_reads_code_from_s3_with_the_rights_of_its_caller(strict_gateway: Gateway) -> None:
    role = make_role(strict_gateway, unique("f"), "lambda.amazonaws.com")
    user = make_user(strict_gateway, allow("lambda:CreateFunction"), allow("iam:PassRole", role))
    request = {"FunctionName": unique("f"), "Role": role, "Runtime": "python3.13", "Handler": "a.b"}
    code, message, status = refused(
        user.client("lambda").create_function, **request, Code={"S3Bucket": "data", "S3Key": "train/cat/1.txt"}
    )
    assert (code, status) == ("AccessDeniedException", 403)
    assert message.startswith(
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for "
        "data/train/cat/1.txt."
    )


def test_a_scaled_endpoint_needs_rights_on_both_services(strict_gateway: Gateway) -> None:
    name, root = unique("scaled"), strict_gateway.client("sagemaker")
    host(strict_gateway, make_role(strict_gateway, name), name)
    endpoint, config = f"{SAGEMAKER}:endpoint/{name}", f"{SAGEMAKER}:endpoint-config/{name}"
    register = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/a",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    }
    scaling = allow("application-autoscaling:RegisterScalableTarget")
    user = make_user(strict_gateway, scaling)
    client = user.client("application-autoscaling")
    assert (
        f"sagemaker:DescribeEndpoint on resource: {endpoint}" in refused(client.register_scalable_target, **register)[1]
    )
    changes = allow(["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"], endpoint)
    user.allow(scaling, changes, allow("sagemaker:DescribeEndpointConfig", config))
    client.register_scalable_target(**register)
    deletes = allow("sagemaker:DeleteEndpoint", endpoint)
    user.allow(deletes)
    delete = user.client("sagemaker").delete_endpoint
    assert refused(delete, EndpointName=name)[1].startswith("An Application AutoScaling scalable target exists")
    user.allow(deletes, allow("application-autoscaling:DeregisterScalableTarget"))
    delete(EndpointName=name)
    endpoint_gone(root, name)


def test_tags_of_a_resource_and_of_a_caller_decide(strict_gateway: Gateway) -> None:
    root, iam = strict_gateway.client("sagemaker"), strict_gateway.client("iam")
    role = make_role(strict_gateway, unique("r"))
    names = {team: unique(team) for team in ("red", "blue")}
    for team, name in names.items():
        root.create_model(ModelName=name, ExecutionRoleArn=role, Tags=[{"Key": "team", "Value": team}],
                          PrimaryContainer={"Image": "stagemaker/serve:test"})  # fmt: skip
    same = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    user = make_user(strict_gateway, allow("sagemaker:DescribeModel", Condition=same))
    models = user.client("sagemaker")
    assert refused(models.describe_model, ModelName=names["red"])[0] == "AccessDeniedException"
    iam.tag_user(UserName=user.name, Tags=[{"Key": "team", "Value": "red"}])
    assert models.describe_model(ModelName=names["red"])["ModelName"] == names["red"]
    assert refused(models.describe_model, ModelName=names["blue"])[0] == "AccessDeniedException"


def test_a_repository_policy_grants_within_its_account(strict_gateway: Gateway) -> None:
    root, user, name = strict_gateway.client("ecr"), make_user(strict_gateway), unique("repo")
    root.create_repository(repositoryName=name)
    ecr = user.client("ecr")
    assert refused(ecr.describe_repositories, repositoryNames=[name])[0] == "AccessDeniedException"
    statement = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "ecr:DescribeRepositories"}
    root.set_repository_policy(repositoryName=name, policyText=policy(statement))
    assert len(ecr.describe_repositories(repositoryNames=[name])["repositories"]) == 1
    assert refused(ecr.delete_repository, repositoryName=name)[0] == "AccessDeniedException"


def test_metrics_are_limited_by_their_namespace(strict_gateway: Gateway) -> None:
    condition = {"StringEquals": {"cloudwatch:namespace": "Mine"}}
    user = make_user(strict_gateway, allow("cloudwatch:PutMetricData", Condition=condition))
    cloudwatch, data = user.client("cloudwatch"), [{"MetricName": "m", "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace="Mine", MetricData=data)
    assert refused(cloudwatch.put_metric_data, Namespace="Theirs", MetricData=data)[0] == "AccessDenied"


def test_iam_itself_is_asked_about(strict_gateway: Gateway) -> None:
    users = f"arn:aws:iam::{ACCOUNT}:user/team/*"
    user = make_user(strict_gateway, allow(["iam:CreateUser", "iam:GetUser", "iam:AttachUserPolicy"], users))
    iam, name = user.client("iam"), unique("made")
    assert refused(iam.create_user, UserName=name)[0] == "AccessDenied"
    iam.create_user(UserName=name, Path="/team/")
    assert iam.get_user(UserName=name)["User"]["Path"] == "/team/"
    assert refused(iam.get_user)[0] == "AccessDenied"  # it is not below /team/ itself
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    user.allow(allow("iam:AttachUserPolicy", users, Condition={"ArnEquals": {"iam:PolicyARN": read_only}}))
    assert refused(iam.attach_user_policy, UserName=name, PolicyArn=admin)[0] == "AccessDenied"
    iam.attach_user_policy(UserName=name, PolicyArn=read_only)


def test_an_operation_that_the_list_of_actions_lacks_is_refused_by_name(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, allow("*"))
    _, message, _ = refused(user.client("iam").update_delegation_request, DelegationRequestId="1" * 36)
    assert "iam:UpdateDelegationRequest" in message


def test_what_only_moto_keeps_is_asked_about_too(strict_gateway: Gateway) -> None:
    user, name = make_user(strict_gateway), unique("exp")
    assert refused(user.client("sagemaker").create_experiment, ExperimentName=name)[1].startswith(
        f"User: {user.arn} is not authorized to perform: sagemaker:CreateExperiment on resource: "
        f"{SAGEMAKER}:experiment/{name} "
    )
    user.allow(allow("sagemaker:CreateExperiment", f"{SAGEMAKER}:experiment/{name}"))
    assert user.client("sagemaker").create_experiment(ExperimentName=name)["ExperimentArn"].endswith(name)


def test_the_mode_soft_tells_in_the_log_what_aws_would_refuse(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Seen] = []
    arn, action = f"arn:aws:iam::{ACCOUNT}:user/ann", "sagemaker:ListModels"
    caller, question = Caller(Principal(arn), "AKIA1", "AIDA1"), Question(action, "*", ACCOUNT, {}, action)
    for outcome, lacking in ((Outcome.ALLOWED, ()), (Outcome.IMPLICIT_DENY, (Source.IDENTITY,))):
        logged(seen.append)(Seen(caller, question, Decision(outcome, (), lacking), 1.0))
    sentence = f"User: {arn} is not authorized to perform: {action} on resource: * because no identity-based policy"
    assert [record.message for record in caplog.records] == [
        f"AWS would refuse it: {sentence} allows the {action} action"
    ]
    assert len(seen) == 2
