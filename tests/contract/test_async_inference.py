"""InvokeEndpointAsync on a real LocalStack: S3 to S3, and what SNS, CloudWatch and the logs are told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.endpoints import host, in_service
from tests.contract.gateway import Gateway, until

ENDPOINT = "asynchronous"


@pytest.fixture(scope="module")
def queue(gateway: Gateway) -> str:
    """The URL of a queue that gets what the topics of the endpoint are told."""
    url: str = gateway.client("sqs").create_queue(QueueName=ENDPOINT)["QueueUrl"]
    return url


@pytest.fixture(scope="module")
def topics(gateway: Gateway, queue: str) -> dict[str, str]:
    """The ARNs of one for answers and one for failures."""
    sns, sqs = gateway.client("sns"), gateway.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    made = {}
    for member, name in (("SuccessTopic", "answered"), ("ErrorTopic", "failed")):
        made[member] = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=made[member], Protocol="sqs", Endpoint=attributes["QueueArn"])
    return made


@pytest.fixture(scope="module")
def runtime(gateway: Gateway, role: str, topics: dict[str, str]) -> Any:
    output = {
        "S3OutputPath": "s3://data/asynchronous/out",
        "S3FailurePath": "s3://data/asynchronous/failed",
        "NotificationConfig": topics,
    }
    config = {"OutputConfig": output, "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2}}
    host(gateway, role, ENDPOINT, AsyncInferenceConfig=config)
    return gateway.client("sagemaker-runtime")


def body_of(gateway: Gateway, uri: str) -> bytes | None:
    """Of an object, or None as long as there is none."""
    s3 = gateway.client("s3")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return found


def told(gateway: Gateway, queue: str, inference_id: str) -> dict[str, Any]:
    """What a topic was told of this request. Messages about others are gone then."""
    sqs = gateway.client("sqs")

    def receive() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        for each in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
        found = [json.loads(json.loads(each["Body"])["Message"]) for each in messages]
        return [each for each in found if each.get("inferenceId") == inference_id]

    [message] = until(receive, bool)
    return dict(message)


def ask(gateway: Gateway, runtime: Any, body: bytes, **members: str) -> Any:
    """InvokeEndpointAsync with this input, in S3: the tests' botocore is too old for a Body."""
    key = f"asynchronous/in/{hash(body)}"
    gateway.client("s3").put_object(Bucket="data", Key=key, Body=body)
    return runtime.invoke_endpoint_async(EndpointName=ENDPOINT, InputLocation=f"s3://data/{key}", **members)


def test_an_input_in_s3_becomes_an_output_in_s3_and_a_message(gateway: Gateway, runtime: Any, queue: str) -> None:
    answer = ask(gateway, runtime, b"from S3", ContentType="text/plain", InferenceId="one")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "one"
    assert until(lambda: body_of(gateway, answer["OutputLocation"]), bool) == b" from S3"
    message = told(gateway, queue, "one")
    assert message["invocationStatus"] == "Completed"
    assert message["requestParameters"]["inputLocation"].startswith("s3://data/asynchronous/in/")
    assert message["responseParameters"]["outputLocation"] == answer["OutputLocation"]
    assert body_of(gateway, answer["FailureLocation"]) is None


def test_a_failure_has_an_object_a_message_and_a_line(gateway: Gateway, runtime: Any, queue: str) -> None:
    answer = ask(gateway, runtime, b"broken", InferenceId="two")
    assert until(lambda: body_of(gateway, answer["FailureLocation"]), bool) == b"it broke"
    message = told(gateway, queue, "two")
    assert message["invocationStatus"] == "Failed"
    assert message["failureReason"].startswith("ClientError: Received server error (500) from model.")
    logs, group = gateway.client("logs"), f"/aws/sagemaker/Endpoints/{ENDPOINT}"

    def lines() -> list[str]:
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        names = [each["logStreamName"] for each in streams if each["logStreamName"].endswith("/data-log")]
        events = [logs.get_log_events(logGroupName=group, logStreamName=name)["events"] for name in names]
        return [event["message"] for some in events for event in some]

    until(lines, lambda found: any("[two] Received server error (500) from primary" in line for line in found))


def test_an_answer_in_chunks_is_a_failure(gateway: Gateway, runtime: Any) -> None:
    program = b"""python self.send_response(200)
self.send_header("Transfer-Encoding", "chunked")
self.end_headers()
self.wfile.write(b"1\\r\\nx\\r\\n0\\r\\n\\r\\n")
"""
    answer = ask(gateway, runtime, program)
    kept = until(lambda: body_of(gateway, answer["FailureLocation"]), bool)
    assert b"did not specify the required Content-Length header" in kept


def test_an_endpoint_of_no_instances_keeps_requests_and_tells_of_them(gateway: Gateway, runtime: Any) -> None:
    sagemaker, cloudwatch = gateway.client("sagemaker"), gateway.client("cloudwatch")

    def scale(count: int) -> None:
        desired = [{"VariantName": "a", "DesiredInstanceCount": count}]
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=ENDPOINT, DesiredWeightsAndCapacities=desired)
        in_service(sagemaker, ENDPOINT)

    def largest(name: str) -> float:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[{"Name": "EndpointName", "Value": ENDPOINT}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max((point["Maximum"] for point in points), default=0.0)

    scale(0)
    answer = ask(gateway, runtime, b"patient")
    until(lambda: largest("HasBacklogWithoutCapacity"), lambda value: value == 1.0)
    until(lambda: largest("ApproximateBacklogSize"), lambda value: value >= 1.0)
    assert body_of(gateway, answer["OutputLocation"]) is None
    scale(1)
    assert until(lambda: body_of(gateway, answer["OutputLocation"]), bool) == b" patient"


def test_each_kind_of_endpoint_takes_its_own_operation_only(runtime: Any) -> None:
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=b"x")
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "ValidationError",
        f"Endpoint {ENDPOINT} is asynchronous: use InvokeEndpointAsync.",
    )
