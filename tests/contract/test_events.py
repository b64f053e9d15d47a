"""SageMaker's state changes, as a rule of EventBridge hands them to a queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.gateway import SERVER, Gateway, ended, endpoint_gone, training_request, until


@pytest.fixture(scope="module")
def events(gateway: Gateway) -> Iterator[Any]:
    """Gives every event of SageMaker's so far that names a resource, in no certain order."""
    sqs, bus = gateway.client("sqs"), gateway.client("events")
    url = sqs.create_queue(QueueName="sagemaker-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_rule(Name="sagemaker", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    bus.put_targets(Rule="sagemaker", Targets=[{"Id": "queue", "Arn": arn}])
    seen: list[dict[str, Any]] = []

    def read(resource: str) -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            seen.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in seen if event["resources"] == [resource]]

    yield read
    bus.remove_targets(Rule="sagemaker", Ids=["queue"])
    bus.delete_rule(Name="sagemaker")
    sqs.delete_queue(QueueUrl=url)


def test_each_step_of_a_training_job_is_one_event(gateway: Gateway, role: str, events: Any) -> None:
    sagemaker = gateway.client("sagemaker")
    request = training_request("rule", role, Tags=[{"Key": "team", "Value": "dogs"}])
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    job = ended(sagemaker, "rule")
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    found = until(lambda: events(arn), lambda seen: len(seen) >= len(steps))
    found.sort(key=lambda event: len(event["detail"]["SecondaryStatusTransitions"]))
    assert [event["detail"]["SecondaryStatus"] for event in found] == steps
    assert {event["detail-type"] for event in found} == {"SageMaker Training Job State Change"}
    last = found[-1]["detail"]
    assert (found[-1]["account"], found[-1]["region"]) == ("000000000000", "eu-west-1")
    assert last["TrainingEndTime"] == str(round(job["TrainingEndTime"].timestamp() * 1000))
    assert last["Tags"] == {"team": "dogs"}
    assert last["ResourceConfig"]["InstanceCount"] == 1


def test_a_model_a_configuration_and_an_endpoint_tell_of_their_states(gateway: Gateway, role: str, events: Any) -> None:
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**training_request("rule-model", role))
    data = ended(sagemaker, "rule-model")["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": SERVER, "ModelDataUrl": data}
    variant = {"VariantName": "all", "ModelName": "rule", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    model = sagemaker.create_model(ModelName="rule", PrimaryContainer=container, ExecutionRoleArn=role)["ModelArn"]
    config = sagemaker.create_endpoint_config(EndpointConfigName="rule", ProductionVariants=[variant])
    endpoint = sagemaker.create_endpoint(EndpointName="rule", EndpointConfigName="rule")["EndpointArn"]
    until(
        lambda: sagemaker.describe_endpoint(EndpointName="rule")["EndpointStatus"],
        lambda status: status == "InService",
    )
    sagemaker.delete_endpoint(EndpointName="rule")
    endpoint_gone(sagemaker, "rule")
    sagemaker.delete_endpoint_config(EndpointConfigName="rule")
    sagemaker.delete_model(ModelName="rule")
    found = until(lambda: events(model), lambda seen: len(seen) == 2)
    assert {event["detail-type"] for event in found} == {"SageMaker Model State Change"}
    assert found[0]["detail"]["PrimaryContainer"]["Image"] == SERVER
    of_endpoint = until(lambda: events(endpoint), lambda seen: len(seen) >= 3)
    states = {event["detail"]["EndpointStatus"]: event["detail"] for event in of_endpoint}
    assert len(of_endpoint) == 3
    assert set(states) == {"CREATING", "IN_SERVICE", "DELETING"}
    assert states["IN_SERVICE"]["ProductionVariants"] == [
        {"VariantName": "all", "DesiredWeight": 1.0, "DesiredInstanceCount": 1}
    ]
    of_config = until(lambda: events(config["EndpointConfigArn"]), lambda seen: len(seen) >= 2)
    assert [event["detail"]["EndpointConfigName"] for event in of_config] == ["rule"] * 2
