"""Stories of roles on a stage that enforces IAM: what runs under a role does what the role allows, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.function_stack import zipped
from tests.contract.gateway import (
    REGION,
    SERVER,
    Gateway,
    ended,
    make_bucket,
    make_role,
    processing_request,
    training_request,
    transform_request,
    until,
)
from tests.contract.users import allow, assumed, deny, make_user, policy, unique

ACCOUNT, OTHER = "000000000000", "111111111111"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
LOGS = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"])
GROUP = "/aws/sagemaker/TrainingJobs"
CALL = """
import os
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    runtime = boto3.client("sagemaker-runtime")
    try:
        answer = runtime.invoke_endpoint(EndpointName=event["endpoint"], Body=b"hello")
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    return {"body": answer["Body"].read().decode()}
"""


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def let(gateway: Gateway, role_arn: str, *statements: Mapping[str, Any], account: str = ACCOUNT) -> None:
    """Give the role these rights in place of those that it has."""
    name = role_arn.rpartition("/")[2]
    gateway.client("iam", account).put_role_policy(
        RoleName=name, PolicyName="rights", PolicyDocument=policy(*statements)
    )


def model_data(gateway: Gateway, name: str) -> dict[str, Any]:
    """Where the data of a new model lies."""
    gateway.client("s3").put_object(Bucket="data", Key=f"{name}/weights.txt", Body=b"weights of")
    uri = f"s3://data/{name}/"
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}}


@contextmanager
def endpoint(gateway: Gateway, role: str, **config: Any) -> Iterator[str]:
    """An endpoint in service; its name."""
    sagemaker, name = gateway.client("sagemaker"), unique("story")
    container = {"Image": SERVER, "ModelDataSource": model_data(gateway, name)}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    with endpoint_of(gateway, name, **config):
        yield name


@contextmanager
def endpoint_of(gateway: Gateway, name: str, **config: Any) -> Iterator[None]:
    """An endpoint in service of the model with its name."""
    sagemaker = gateway.client("sagemaker")
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **config)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    try:
        found = until(
            lambda: sagemaker.describe_endpoint(EndpointName=name), lambda e: e["EndpointStatus"] != "Creating"
        )
        assert found["EndpointStatus"] == "InService", found
        yield
    finally:
        sagemaker.delete_endpoint(EndpointName=name)


@pytest.fixture(scope="module")
def two_endpoints(strict_gateway: Gateway) -> Iterator[tuple[str, str]]:
    role = make_role(strict_gateway, unique("hosting"))
    with endpoint(strict_gateway, role) as one, endpoint(strict_gateway, role) as other:
        yield one, other


def run_in_container(gateway: Gateway, role: str, source: str) -> tuple[dict[str, Any], list[str]]:
    """The end of a training job whose program runs `source` first, and what it said."""
    sagemaker, logs, name = gateway.client("sagemaker"), gateway.client("logs"), unique("job")
    sagemaker.create_training_job(**training_request(name, role, HyperParameters={"source": json.dumps(source)}))
    job = ended(sagemaker, name)
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"])["events"]
    return job, [event["message"] for event in events]


def test_a_function_may_call_an_endpoint_from_the_moment_that_its_role_may(
    strict_gateway: Gateway, two_endpoints: tuple[str, str]
) -> None:
    functions, name = strict_gateway.client("lambda"), unique("proxy")
    role = make_role(strict_gateway, unique("lambda"), "lambda.amazonaws.com", policy=document(LOGS))
    functions.create_function(
        FunctionName=name, Role=role, Code={"ZipFile": zipped(CALL)}, Runtime="python3.13", Handler="main.handler",
        Timeout=60,
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def call(target: str) -> dict[str, Any]:
        answer = functions.invoke(FunctionName=name, Payload=json.dumps({"endpoint": target}))
        assert "FunctionError" not in answer
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found

    one, other = two_endpoints
    refused = call(one)
    assert refused["code"] == "AccessDeniedException"
    assert refused["message"] == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{name} is not authorized to perform: "
        f"sagemaker:InvokeEndpoint on resource: {SAGEMAKER}:endpoint/{one} because no identity-based policy allows the "
        "sagemaker:InvokeEndpoint action"
    )
    let(strict_gateway, role, LOGS, allow("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/{one}"))
    assert call(one) == {"body": "weights of hello"}
    assert call(other)["code"] == "AccessDeniedException"
    let(strict_gateway, role, LOGS)
    assert call(one)["code"] == "AccessDeniedException"
    functions.delete_function(FunctionName=name)


def test_a_role_for_one_endpoint_is_refused_on_another(strict_gateway: Gateway, two_endpoints: tuple[str, str]) -> None:
    one, other = two_endpoints
    iam, name = strict_gateway.client("iam"), unique("caller")
    user = make_user(strict_gateway, allow("sts:AssumeRole"))
    trust = policy({"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    let(strict_gateway, role, allow("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/{one}"))
    runtime = assumed(strict_gateway, user.client("sts"), role, "sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName=one, Body=b"x")["Body"].read() == b"weights of x"
    with pytest.raises(ClientError, match=f"on resource: {SAGEMAKER}:endpoint/{other} because") as caught:
        runtime.invoke_endpoint(EndpointName=other, Body=b"x")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_job_reads_the_bucket_of_another_account_when_both_accounts_allow_it(strict_gateway: Gateway) -> None:
    bucket, theirs = unique("theirs"), strict_gateway.client("s3", OTHER)
    theirs.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    theirs.put_object(Bucket=bucket, Key="train/1.txt", Body=b"1")
    role = make_role(strict_gateway, unique("reader"))  # its own account allows everything in S3
    sagemaker = strict_gateway.client("sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train"}}
    channels = [{"ChannelName": "train", "DataSource": source}]
    with pytest.raises(ClientError, match=r'No S3 objects found under S3 URL .* "s3:ListBucket" permissions') as caught:
        sagemaker.create_training_job(**training_request(unique("job"), role, InputDataConfig=channels))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    grant = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": ["s3:ListBucket", "s3:GetObject"]}
    both = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    theirs.put_bucket_policy(Bucket=bucket, Policy=policy({**grant, "Resource": both}))
    name = unique("job")
    sagemaker.create_training_job(**training_request(name, role, InputDataConfig=channels))
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    let(strict_gateway, role, LOGS, allow("s3:PutObject"))
    with pytest.raises(ClientError, match="No S3 objects found"):  # the bucket's policy alone is not enough
        sagemaker.create_training_job(**training_request(unique("job"), role, InputDataConfig=channels))


def test_a_job_that_may_list_and_not_read_fails_in_its_download(strict_gateway: Gateway) -> None:
    rights = document(LOGS, allow("s3:ListBucket", "arn:aws:s3:::data"), allow("s3:PutObject", "arn:aws:s3:::data/*"))
    role, sagemaker, name = (
        make_role(strict_gateway, unique("blind"), policy=rights),
        strict_gateway.client("sagemaker"),
        unique("job"),
    )
    sagemaker.create_training_job(**training_request(name, role))
    job = ended(sagemaker, name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "ClientError: Data download failed:Unable to download object s3://data/train/"
    )
    assert (
        f"assumed-role/{role.rpartition('/')[2]}/SageMaker is not authorized to perform: s3:GetObject"
        in job["FailureReason"]
    )
    assert job["SecondaryStatus"] == "Failed"


def test_a_job_that_may_not_write_fails_in_its_upload(strict_gateway: Gateway) -> None:
    rights = document(LOGS, allow(["s3:ListBucket", "s3:GetObject"], ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]))
    role, sagemaker, name = (
        make_role(strict_gateway, unique("mute"), policy=rights),
        strict_gateway.client("sagemaker"),
        unique("job"),
    )
    sagemaker.create_training_job(**training_request(name, role))
    job = ended(sagemaker, name)
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert "is not authorized to perform: s3:PutObject" in job["FailureReason"]
    assert "Contents" not in strict_gateway.client("s3").list_objects_v2(Bucket="data", Prefix=f"out/{name}/")


def test_a_job_whose_role_may_not_write_logs_has_none_and_completes(strict_gateway: Gateway) -> None:
    rights = document(allow("s3:*"))
    role, sagemaker, name = (
        make_role(strict_gateway, unique("silent"), policy=rights),
        strict_gateway.client("sagemaker"),
        unique("job"),
    )
    sagemaker.create_training_job(**training_request(name, role))
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    logs = strict_gateway.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    streams = [
        stream
        for group in groups
        for stream in logs.describe_log_streams(logGroupName=group["logGroupName"], logStreamNamePrefix=f"{name}/")[
            "logStreams"
        ]
    ]
    assert streams == []


def test_the_program_of_a_job_cannot_read_what_its_role_may_not(strict_gateway: Gateway) -> None:
    bucket = unique("secret")
    make_bucket(strict_gateway, bucket, {"key": b"hidden"})
    role = make_role(strict_gateway, unique("trainer"), policy=document(
        LOGS, allow(["s3:ListBucket", "s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::data", "arn:aws:s3:::data/*"])
    ))  # fmt: skip
    source = f"""
import boto3, botocore.exceptions
s3 = boto3.client("s3")
print(s3.get_object(Bucket="data", Key="train/cat/1.txt")["Body"].read().decode())
try:
    print(s3.get_object(Bucket="{bucket}", Key="key")["Body"].read().decode())
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"], error.response["Error"]["Message"])
"""
    job, lines = run_in_container(strict_gateway, role, source)
    assert job["TrainingJobStatus"] == "Completed"
    assert "cat" in lines
    (refusal,) = [line for line in lines if line.startswith("AccessDenied ")]
    assert f'is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::{bucket}/key"' in refusal
    assert not any("hidden" in line for line in lines)


def test_a_right_that_is_taken_away_is_gone_at_the_next_call_of_a_running_program(strict_gateway: Gateway) -> None:
    role, sagemaker, s3 = (
        make_role(strict_gateway, unique("running")),
        strict_gateway.client("sagemaker"),
        strict_gateway.client("s3"),
    )
    name = unique("job")
    source = f"""
import boto3, botocore.exceptions, time
s3, refused = boto3.client("s3"), False
while not refused:
    try:
        s3.put_object(Bucket="data", Key="said/{name}", Body=b"still allowed")
    except botocore.exceptions.ClientError as error:
        refused = error.response["Error"]["Code"] == "AccessDenied"
    time.sleep(0.05)
print("refused", flush=True)
"""
    sagemaker.create_training_job(**training_request(name, role, HyperParameters={"source": json.dumps(source)}))
    until(lambda: s3.list_objects_v2(Bucket="data", Prefix=f"said/{name}")["KeyCount"], bool)
    others = [f"arn:aws:s3:::data{path}" for path in ("", "/train/*", "/out/*")]
    let(strict_gateway, role, LOGS, allow(["s3:ListBucket", "s3:GetObject", "s3:PutObject"], others))
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    s3.delete_object(Bucket="data", Key=f"said/{name}")


def test_a_processing_and_a_transform_job_without_rights_fail(
    strict_gateway: Gateway,
) -> None:
    sagemaker, name = strict_gateway.client("sagemaker"), unique("job")
    rights = document(LOGS, allow("s3:ListBucket"), allow("s3:GetObject", f"arn:aws:s3:::data/{name}/*"))
    role = make_role(strict_gateway, unique("poor"), policy=rights)
    sagemaker.create_processing_job(**processing_request(name, role))
    job = until(
        lambda: sagemaker.describe_processing_job(ProcessingJobName=name),
        lambda found: found["ProcessingJobStatus"] in ("Completed", "Failed"),
    )
    assert job["FailureReason"].startswith(
        "ClientError: Data download failed:Unable to download object s3://data/train"
    )
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": SERVER, "ModelDataSource": model_data(strict_gateway, name)},
    )
    sagemaker.create_transform_job(**transform_request(name, name))
    failed = until(
        lambda: sagemaker.describe_transform_job(TransformJobName=name),
        lambda found: found["TransformJobStatus"] in ("Completed", "Failed"),
    )
    assert failed["TransformJobStatus"] == "Failed"
    assert "is not authorized to perform: s3:GetObject" in failed["FailureReason"]


def test_a_model_whose_role_may_not_read_its_data_is_refused_and_so_is_its_endpoint(strict_gateway: Gateway) -> None:
    sagemaker, name = strict_gateway.client("sagemaker"), unique("model")
    role = make_role(strict_gateway, unique("host"), policy=document(LOGS))
    container = {"Image": SERVER, "ModelDataSource": model_data(strict_gateway, name)}
    request = {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}
    with pytest.raises(ClientError, match=f"Could not access model data at s3://data/{name}/"):
        sagemaker.create_model(**request)
    let(strict_gateway, role, LOGS, allow(["s3:ListBucket", "s3:GetObject"]))
    sagemaker.create_model(**request)
    let(strict_gateway, role, LOGS)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    found = until(lambda: sagemaker.describe_endpoint(EndpointName=name), lambda e: e["EndpointStatus"] != "Creating")
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        f'Failed to download model data for container "container_1" from URL: "s3://data/{name}/". Please ensure that '
        "there is an object located at the URL and that the role passed to CreateModel has permissions to download the "
        "object."
    )
    sagemaker.delete_endpoint(EndpointName=name)


def test_the_conditions_of_a_trust_policy_say_for_what_a_role_is_assumed(strict_gateway: Gateway) -> None:
    iam, sagemaker, name = strict_gateway.client("iam"), strict_gateway.client("sagemaker"), unique("trusting")
    role = make_role(strict_gateway, name)
    statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}

    def trust(**condition: Any) -> None:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy({**statement, "Condition": condition}))

    trust(StringEquals={"aws:SourceAccount": OTHER})
    with pytest.raises(ClientError, match=f"Could not assume role {role}"):
        sagemaker.create_training_job(**training_request(unique("job"), role))
    job = unique("job")
    trust(StringEquals={"aws:SourceAccount": ACCOUNT}, ArnLike={"aws:SourceArn": f"{SAGEMAKER}:training-job/{job}"})
    with pytest.raises(ClientError, match=f"Could not assume role {role}"):
        sagemaker.create_training_job(**training_request(unique("other"), role))
    sagemaker.create_training_job(**training_request(job, role))
    assert ended(sagemaker, job)["TrainingJobStatus"] == "Completed"


def test_an_asynchronous_endpoint_answers_only_where_its_role_may_write(strict_gateway: Gateway) -> None:
    s3, name = strict_gateway.client("s3"), unique("async")
    allowed = [f"arn:aws:s3:::data/{name}/{folder}/*" for folder in ("in", "failed")]
    rights = document(LOGS, allow("s3:ListBucket"), allow("s3:GetObject"), allow("s3:PutObject", allowed))
    role = make_role(strict_gateway, unique("async"), policy=rights)
    output = {"S3OutputPath": f"s3://data/{name}/out", "S3FailurePath": f"s3://data/{name}/failed"}
    s3.put_object(Bucket="data", Key=f"{name}/in/1", Body=b"hello")

    def answer(location: str) -> bytes | None:
        try:
            found: bytes = s3.get_object(Bucket="data", Key=location.removeprefix("s3://data/"))["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        return found

    with endpoint(strict_gateway, role, AsyncInferenceConfig={"OutputConfig": output}) as served:
        runtime = strict_gateway.client("sagemaker-runtime")
        asked = {"EndpointName": served, "InputLocation": f"s3://data/{name}/in/1"}
        refused = runtime.invoke_endpoint_async(**asked)
        failure = until(lambda: answer(refused["FailureLocation"]), bool)
        assert b"is not authorized to perform: s3:PutObject on resource" in failure
        assert answer(refused["OutputLocation"]) is None
        let(strict_gateway, role, LOGS, allow("s3:*"))
        done = runtime.invoke_endpoint_async(**asked)
        assert until(lambda: answer(done["OutputLocation"]), bool) == b"weights of hello"


def make_network(gateway: Gateway, *statements: Mapping[str, Any]) -> tuple[dict[str, Any], str, str]:
    """A VPC with a subnet and a gateway endpoint for S3: the VpcConfig, the id of the VPC and that of the endpoint."""
    ec2 = gateway.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    made = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway", RouteTableIds=[table],
        **({"PolicyDocument": endpoint_policy(*statements)} if statements else {}),
    )  # fmt: skip
    config = {"Subnets": [subnet], "SecurityGroupIds": ["sg-0123456789abcdef0"]}
    return config, vpc, made["VpcEndpoint"]["VpcEndpointId"]


def endpoint_policy(*statements: Mapping[str, Any]) -> str:
    """A document whose statements are about everybody."""
    return policy(*({**statement, "Principal": "*"} for statement in statements))


def both(bucket: str) -> list[str]:
    """The ARNs of a bucket and of what is in it."""
    return [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]


def channel_of(bucket: str) -> list[dict[str, Any]]:
    """A job's one channel."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train"}}
    return [{"ChannelName": "train", "DataSource": source}]


def test_a_job_in_a_vpc_reads_the_bucket_of_another_account_when_its_gateway_endpoint_allows_it_too(
    strict_gateway: Gateway,
) -> None:
    bucket, theirs = unique("theirs"), strict_gateway.client("s3", OTHER)
    theirs.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    theirs.put_object(Bucket=bucket, Key="train/1.txt", Body=b"of the other account")
    role, sagemaker = make_role(strict_gateway, unique("reader")), strict_gateway.client("sagemaker")
    vpc, _, vpce = make_network(strict_gateway, allow("s3:*", both("data")))
    read = f"""
import boto3
print(boto3.client("s3").get_object(Bucket="{bucket}", Key="train/1.txt")["Body"].read().decode())
"""
    given = {"InputDataConfig": channel_of(bucket), "HyperParameters": {"source": json.dumps(read)}}
    inside = {**given, "VpcConfig": vpc}

    def refused(**members: Any) -> None:
        with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
            sagemaker.create_training_job(**training_request(unique("job"), role, **members))

    def completes(**members: Any) -> None:
        name = unique("job")
        sagemaker.create_training_job(**training_request(name, role, **members))
        assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"

    refused(**given)  # the bucket's policy does not allow it
    refused(**inside)
    grant = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": ["s3:ListBucket", "s3:GetObject"]}
    theirs.put_bucket_policy(Bucket=bucket, Policy=policy({**grant, "Resource": both(bucket)}))
    completes(**given)
    refused(**inside)  # the endpoint's policy does not allow it
    opened = endpoint_policy(allow("s3:*", [*both("data"), *both(bucket)]))
    strict_gateway.client("ec2").modify_vpc_endpoint(VpcEndpointId=vpce, PolicyDocument=opened)
    completes(**inside)
    theirs.delete_bucket_policy(Bucket=bucket)
    refused(**inside)


def test_the_policy_of_a_gateway_endpoint_acts_on_the_next_call_of_a_running_program(strict_gateway: Gateway) -> None:
    bucket, name, s3 = unique("closed"), unique("job"), strict_gateway.client("s3")
    make_bucket(strict_gateway, bucket, {"key": b"content"})
    role, sagemaker = make_role(strict_gateway, unique("running")), strict_gateway.client("sagemaker")
    vpc, _, vpce = make_network(strict_gateway, allow("s3:*", both("data")))
    source = f"""
import boto3, botocore.exceptions, time
s3, read = boto3.client("s3"), None
while read is None:
    try:
        read = s3.get_object(Bucket="{bucket}", Key="key")["Body"].read()
    except botocore.exceptions.ClientError as error:
        s3.put_object(Bucket="data", Key="said/{name}", Body=error.response["Error"]["Message"].encode())
    time.sleep(0.05)
s3.put_object(Bucket="data", Key="said/{name}", Body=read)
"""
    request = training_request(name, role, VpcConfig=vpc, HyperParameters={"source": json.dumps(source)})
    sagemaker.create_training_job(**request)
    until(lambda: s3.list_objects_v2(Bucket="data", Prefix=f"said/{name}")["KeyCount"], bool)
    assert s3.get_object(Bucket="data", Key=f"said/{name}")["Body"].read().decode() == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/SageMaker is not authorized to perform: "
        f's3:GetObject on resource: "arn:aws:s3:::{bucket}/key" because no VPC endpoint policy allows the s3:GetObject '
        "action"
    )
    opened = endpoint_policy(allow("s3:*"))
    strict_gateway.client("ec2").modify_vpc_endpoint(VpcEndpointId=vpce, PolicyDocument=opened)
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    assert s3.get_object(Bucket="data", Key=f"said/{name}")["Body"].read() == b"content"
    s3.delete_object(Bucket="data", Key=f"said/{name}")


def test_a_bucket_that_asks_for_a_gateway_endpoint_is_open_to_what_runs_behind_it(strict_gateway: Gateway) -> None:
    bucket, sagemaker = unique("private"), strict_gateway.client("sagemaker")
    make_bucket(strict_gateway, bucket, {"train/1.txt": b"1", "model/weights.txt": b"weights of"})
    role = make_role(strict_gateway, unique("inside"))
    vpc, vpc_id, vpce = make_network(strict_gateway)  # with the default policy, which allows everything
    outside = {"StringNotEquals": {"aws:SourceVpce": vpce, "aws:SourceVpc": vpc_id}}
    only = {**deny(["s3:ListBucket", "s3:GetObject"], both(bucket)), "Principal": "*", "Condition": outside}
    strict_gateway.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy(only))
    trust = policy({"Effect": "Allow", "Principal": {"AWS": role}, "Action": "sts:AssumeRole"})
    other = strict_gateway.client("iam").create_role(RoleName=unique("other"), AssumeRolePolicyDocument=trust)
    other_role = other["Role"]["Arn"]
    let(strict_gateway, other_role, allow("s3:GetObject"))
    read = f"""
import boto3
made = boto3.client("sts").assume_role(RoleArn="{other_role}", RoleSessionName="other")["Credentials"]
key = made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
s3 = boto3.Session(*key).client("s3")
print(s3.get_object(Bucket="{bucket}", Key="train/1.txt"))
"""
    program = {"source": json.dumps(read)}  # a role that it assumes is inside too
    job = unique("job")
    request = training_request(job, role, InputDataConfig=channel_of(bucket), HyperParameters=program)
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        sagemaker.create_training_job(**request)
    sagemaker.create_training_job(**request, VpcConfig=vpc)
    found = ended(sagemaker, job)
    assert found["TrainingJobStatus"] == "Completed", found

    uri, name = f"s3://{bucket}/model/", unique("model")
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}}
    container = {"Image": SERVER, "ModelDataSource": source}
    model = {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}
    with pytest.raises(ClientError, match=f"Could not access model data at {uri}"):
        sagemaker.create_model(**model)
    sagemaker.create_model(**model, VpcConfig=vpc)
    with endpoint_of(strict_gateway, name):
        answer = strict_gateway.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"x")
        assert answer["Body"].read() == b"weights of x"
