"""The pretended AWS: boto3 without endpoint_url reaches LocalStack, and faults happen as they were asked for."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ProxyConnectionError

from tests.aws.backends import Moto
from tests.aws.pretended_aws import REGION, Keys, PretendedAws, pretending
from tests.aws.rules import Fault
from tests.aws.wire import AwsError

THROTTLED = AwsError("ThrottlingException", "Rate exceeded")


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def test_boto3_speaks_to_the_own_hosts_of_aws(aws: PretendedAws) -> None:
    assert ":user/" in aws.client("sts").get_caller_identity()["Arn"]
    for service, operation, host in (
        ("iam", "list_roles", "iam.amazonaws.com"),
        ("sagemaker", "list_models", f"api.sagemaker.{REGION}.amazonaws.com"),
        ("lambda", "list_functions", f"lambda.{REGION}.amazonaws.com"),
        ("ecr", "describe_repositories", f"api.ecr.{REGION}.amazonaws.com"),
        ("logs", "describe_log_groups", f"logs.{REGION}.amazonaws.com"),
        ("ec2", "describe_vpcs", f"ec2.{REGION}.amazonaws.com"),
        ("ssm", "describe_parameters", f"ssm.{REGION}.amazonaws.com"),
    ):
        getattr(aws.client(service), operation)()
        assert aws.calls(service)[-1].host == host
        assert aws.calls(service)[-1].status == 200


def test_an_object_goes_to_the_host_of_its_bucket_and_comes_back(aws: PretendedAws) -> None:
    s3, bucket = aws.client("s3"), unique("photos")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a b/ä.txt", Body=b"cat" * 1000)
    assert s3.get_object(Bucket=bucket, Key="a b/ä.txt")["Body"].read() == b"cat" * 1000
    assert s3.head_object(Bucket=bucket, Key="a b/ä.txt")["ContentLength"] == 3000
    put = [call for call in aws.calls("s3", "PutObject") if call.members["Bucket"] == bucket]
    assert [call.host for call in put] == [f"{bucket}.s3.amazonaws.com"]


def test_a_signature_with_a_wrong_secret_is_refused(aws: PretendedAws) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        aws.client("sts", Keys(aws.keys.access_key_id, "wrong")).get_caller_identity()


def test_another_process_needs_only_the_environment(aws: PretendedAws) -> None:
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    found = subprocess.run(
        [sys.executable, "-c", program], env=kept | aws.environment(), capture_output=True, text=True, check=True
    )
    assert ":user/" in found.stdout


def test_a_host_that_is_not_of_aws_is_refused(aws: PretendedAws) -> None:
    with pytest.raises(ProxyConnectionError):
        aws.client("sts", url="https://example.com").get_caller_identity()
    assert "example.com:443" in aws.refused_hosts


@pytest.mark.parametrize(
    ("service", "method", "operation", "request_"),
    [
        ("sagemaker", "describe_model", "DescribeModel", {"ModelName": "m"}),  # json
        ("lambda", "get_function", "GetFunction", {"FunctionName": "f"}),  # rest-json
        ("iam", "get_role", "GetRole", {"RoleName": "r"}),  # query
        ("ec2", "describe_vpcs", "DescribeVpcs", {}),  # ec2
        ("s3", "list_objects_v2", "ListObjectsV2", {"Bucket": "bucket"}),  # rest-xml
        ("sagemaker-runtime", "invoke_endpoint", "InvokeEndpoint", {"EndpointName": "e", "Body": b""}),
        ("application-autoscaling", "describe_scalable_targets", "DescribeScalableTargets",
         {"ServiceNamespace": "sagemaker"}),
        ("pricing", "describe_services", "DescribeServices", {}),
        ("service-quotas", "list_services", "ListServices", {}),
        ("cloudwatch", "list_metrics", "ListMetrics", {}),
    ],
)  # fmt: skip
def test_an_injected_error_has_the_form_of_its_service(
    aws: PretendedAws, service: str, method: str, operation: str, request_: dict[str, object]
) -> None:
    with (
        aws.injected(Fault(service, operation, THROTTLED)),
        pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"),
    ):
        getattr(aws.client(service), method)(**request_)
    call = aws.calls(service, operation)[-1]
    assert (call.status, call.is_fault) == (400, True)


def test_a_fault_happens_for_the_calls_that_it_names(aws: PretendedAws) -> None:
    sagemaker = aws.client("sagemaker")
    with aws.injected(Fault("sagemaker", "ListModels", THROTTLED, first=2, last=3)):
        sagemaker.list_models()
        for _ in range(2):
            with pytest.raises(ClientError):
                sagemaker.list_models()
        sagemaker.list_models()
        sagemaker.list_endpoints()


def test_a_connection_is_cut_before_or_after_the_call_is_done(aws: PretendedAws) -> None:
    s3, before, after = aws.client("s3"), unique("before"), unique("after")
    for bucket, cut in ((before, "before"), (after, "after")):
        with (
            aws.injected(Fault("s3", "CreateBucket", cut=cut)),  # type: ignore[arg-type]
            pytest.raises((ConnectionClosedError, ProxyConnectionError)),
        ):
            s3.create_bucket(Bucket=bucket)
    found = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert before not in found
    assert after in found


def test_moto_answers_in_place_of_localstack(tmp_path: Path) -> None:
    with pretending(Moto(), tmp_path, Keys("AKIAMOTO", "secret")) as aws:
        s3, bucket = aws.client("s3"), unique("photos")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a/b.txt", Body=b"cat")
        assert s3.get_object(Bucket=bucket, Key="a/b.txt")["Body"].read() == b"cat"
        assert aws.client("sts").get_caller_identity()["Account"] == "123456789012"
        role = "arn:aws:iam::123456789012:role/r"
        container = {"Image": "image", "ModelDataUrl": f"s3://{bucket}/m"}
        sagemaker = aws.client("sagemaker")
        sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=role)
        assert sagemaker.describe_model(ModelName="m")["ExecutionRoleArn"] == role
