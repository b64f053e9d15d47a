"""What a request's form, signature, region and protocol come to, on a real LocalStack, without a client between."""

import http.client
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.contract.gateway import REGION, SERVER, Gateway, make_role, training_request, until

ENDPOINT = "/endpoints/told/invocations"
Answer = tuple[int, Mapping[str, str], bytes]


def post(
    gateway: Gateway, service: str, path: str, headers: dict[str, str], body: bytes, *, region: str | None = REGION
) -> Answer:
    """Status, headers in lower case and body; without a region the request is not signed."""
    request = AWSRequest("POST", gateway.url + path, headers, body)
    if region:
        SigV4Auth(Credentials("000000000000", "test"), service, region).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=30)
    try:
        connection.request("POST", path, body, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def call(gateway: Gateway, target: str, body: bytes, region: str | None = REGION) -> tuple[int, str, str]:
    """Status, code and message of an operation of a JSON service."""
    service = "ecr" if target.startswith("AmazonEC2") else "sagemaker"
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    status, answered, content = post(gateway, service, "/", headers, body, region=region)
    return status, answered.get("x-amzn-errortype", ""), json.loads(content).get("message", "")


@pytest.fixture(scope="module")
def endpoint(gateway: Gateway, role: str) -> str:
    """The path of an endpoint in service."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("weights.txt"))
    gateway.client("s3").put_object(Bucket="data", Key="told.tar.gz", Body=data.getvalue())
    sagemaker = gateway.client("sagemaker")
    container = {"Image": SERVER, "ModelDataUrl": "s3://data/told.tar.gz"}
    sagemaker.create_model(ModelName="told", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": "told", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="told", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="told", EndpointConfigName="told")
    until(lambda: sagemaker.describe_endpoint(EndpointName="told")["EndpointStatus"], lambda s: s == "InService")
    return ENDPOINT


@pytest.mark.parametrize("body", [b"{", b"null", b"[]", b"\xff", b'{"MaxResults": "1"}', b'{"MaxResults": 1e400}'])
def test_a_body_that_is_not_of_its_form_is_a_serialization_exception(gateway: Gateway, body: bytes) -> None:
    assert call(gateway, "SageMaker.ListModels", body)[:2] == (400, "SerializationException")
    target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
    assert call(gateway, target, body.replace(b"Max", b"max"))[:2] == (400, "SerializationException")


def test_an_operation_of_moto_is_held_to_its_form_too(gateway: Gateway) -> None:
    assert call(gateway, "SageMaker.ListExperiments", b"null")[:2] == (400, "SerializationException")


def test_ecr_words_what_is_wrong_as_ecr_does(gateway: Gateway) -> None:
    target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository"
    assert call(gateway, target, b'{"repositoryName": "a"}') == (
        400,
        "InvalidParameterException",
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
        "'must have length greater than or equal to 2'",
    )


def test_a_request_without_a_signature_is_refused(gateway: Gateway, endpoint: str) -> None:
    refused = (403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    assert call(gateway, "SageMaker.ListModels", b"{}", None) == refused
    for path in (endpoint, "/endpoints/told/async-invocations", "/endpoints/told/invocations-response-stream"):
        headers = {"Content-Type": "application/cbor", "Accept": "application/cbor"}
        status, answered, content = post(gateway, "sagemaker", path, headers, b"1", region=None)
        assert (status, answered["x-amzn-errortype"]) == refused[:2]
        assert refused[2] in json.loads(content).values()


def test_a_target_model_of_another_kind_of_endpoint_has_a_code_of_its_own(gateway: Gateway, endpoint: str) -> None:
    headers = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Target-Model": "model.tar.gz"}
    status, answered, content = post(gateway, "sagemaker", endpoint, headers, b"1,2")
    assert (status, answered["x-amzn-errortype"]) == (400, "ValidationError")
    error = json.loads(content)
    assert error["ErrorCode"] == "TARGET_MODEL_HEADER_NOT_SUPPORTED"
    assert error["Message"] == "Endpoint told is not a multi-model endpoint and does not support target model header."


def test_a_body_that_its_older_model_does_not_have_is_read(gateway: Gateway, endpoint: str) -> None:
    path = endpoint.replace("invocations", "async-invocations")
    for body, sentence in ((b"1,2", "is not asynchronous"), (bytes(128_001), "longer than 128000 bytes")):
        status, answered, content = post(gateway, "sagemaker", path, {"Content-Type": "text/csv"}, body)
        assert (status, answered["x-amzn-errortype"]) == (400, "ValidationError")
        assert sentence in json.loads(content)["Message"]


@pytest.mark.parametrize("accept", ["application/cbor", "*/*", "multipart/mixed; boundary=b", "text/csv;q=0.5, a/b"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/cbor",
        "application/x-amz-cbor",
        "application/x-amz-json-1.1",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "Text/CSV; header=present",
    ],
)
def test_types_and_bodies_reach_the_container_as_they_are(
    gateway: Gateway, endpoint: str, content_type: str, accept: str
) -> None:
    body = b"tell--x\r\n\xa1\xff&Action=a&Version=b"  # no form, and no CBOR
    headers = {"Content-Type": content_type, "Accept": accept}
    status, _, content = post(gateway, "sagemaker", endpoint, headers, body)
    assert (status, content) == (200, f"{content_type}|{accept}|".encode() + body)
    for path, sent in ((endpoint, b"broken"), ("/endpoints/none/invocations", body)):
        status, answered, content = post(gateway, "sagemaker", path, headers, sent)
        assert (status, answered["content-type"]) in ((424, "application/json"), (400, "application/json"))
        assert json.loads(content)["Message"]


@pytest.mark.parametrize("region", ["eu-nowhere-1", "aws-global"])
def test_a_region_that_aws_does_not_have(gateway: Gateway, region: str) -> None:
    assert call(gateway, "SageMaker.ListModels", b"{}", region) == (
        403,
        "InvalidSignatureException",
        f"Credential should be scoped to a valid region, not '{region}'.",
    )


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [("cn-north-1", "aws-cn", "amazonaws.com.cn"), ("us-gov-west-1", "aws-us-gov", "amazonaws.com")],
)
def test_a_region_of_another_partition_is_one_of_its_own(
    gateway: Gateway, region: str, partition: str, host: str
) -> None:
    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=gateway.url, region_name=region, **keys)

    bucket, sagemaker = f"data-{region}", client("sagemaker")
    client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    client("s3").put_object(Bucket=bucket, Key="train/1.txt", Body=b"cat")
    role = make_role(gateway, region, client=client("iam"))
    assert role.startswith(f"arn:{partition}:iam:")
    text = json.dumps(training_request("job", role)).replace("s3://data/", f"s3://{bucket}/")
    arn = sagemaker.create_training_job(**json.loads(text))["TrainingJobArn"]
    assert arn == f"arn:{partition}:sagemaker:{region}:000000000000:training-job/job"
    status = until(
        lambda: sagemaker.describe_training_job(TrainingJobName="job")["TrainingJobStatus"],
        lambda found: found != "InProgress",
    )
    assert status == "Completed"
    repository = client("ecr").create_repository(repositoryName="dogs")["repository"]
    assert repository["repositoryArn"] == f"arn:{partition}:ecr:{region}:000000000000:repository/dogs"
    assert repository["repositoryUri"] == f"000000000000.dkr.ecr.{region}.{host}/dogs"
    assert "job" not in json.dumps(gateway.client("sagemaker").list_training_jobs(NameContains="job"), default=str)
