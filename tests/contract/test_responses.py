"""Every operation of ours, called by boto3 through a real LocalStack: its answer keeps botocore's model of the output,
required members, types, sizes, enums and patterns alike. One walk through the API makes all answers."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.eventstream import EventStream
from botocore.model import Shape
from botocore.validate import ParamValidator

from stagemaker.api.validation import violations
from tests.contract.gateway import (
    SERVER,
    Gateway,
    ended,
    endpoint_gone,
    processing_request,
    training_request,
    transform_request,
    until,
)
from tests.contract.own_operations import own_operations
from tests.contract.tuning_requests import children, tuned, tuning_request

SERVICES = ("sagemaker", "sagemaker-runtime", "application-autoscaling")  # ECR's answers: test_registry.py
# Notebook instances run in containers only: test_docker_notebooks.py calls these.
IN_CONTAINERS = (
    *(f"{verb}NotebookInstance" for verb in ("Create", "Describe", "Start", "Stop", "Update", "Delete")),
    "CreatePresignedNotebookInstanceUrl",
)
OWN = [name for service in SERVICES for name in own_operations()[service] if name not in IN_CONTAINERS]
Answers = dict[str, list[tuple[Shape | None, dict[str, Any]]]]


@pytest.fixture(scope="module")
def answers(gateway: Gateway, role: str) -> Answers:
    """Every answer of the walk, by operation."""
    seen: Answers = defaultdict(list)

    def record(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            seen[model.name].append((model.output_shape, _read(members)))

    clients = [gateway.client(name) for name in SERVICES]
    for client, name in zip(clients, SERVICES, strict=True):
        client.meta.events.register(f"after-call.{name}", record)
    model = _train(clients[0], role)
    _tune(clients[0], role)
    _process(clients[0], role)
    _host(clients[0], clients[1], role, model)
    _scale(clients[2])
    _host_asynchronously(clients[0], clients[1])
    _transform(clients[0], gateway)
    _configure_notebooks(clients[0])
    _tag_list_and_delete(clients[0])
    return seen


def _train(sagemaker: Any, role: str) -> str:
    """A job that completes, with all that a description can hold, one that fails, and one that is stopped."""
    sagemaker.create_training_job(
        **training_request(
            "walk",
            role,
            HyperParameters={"checkpoint": "1"},
            Environment={"GREETING": "hello"},
            Tags=[{"Key": "project", "Value": "walk"}],
            CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
            VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            DebugHookConfig={"S3OutputPath": "s3://data/debug"},
            TensorBoardOutputConfig={"S3OutputPath": "s3://data/boards"},
        )
    )
    sagemaker.create_training_job(**training_request("walk-fails", role, HyperParameters={"failure": "as asked"}))
    sagemaker.create_training_job(**training_request("walk-stops", role, HyperParameters={"wait": "1"}))
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName="walk-stops"),
        lambda job: "FinalMetricDataList" in job,
    )
    sagemaker.update_training_job(TrainingJobName="walk-stops", ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    sagemaker.stop_training_job(TrainingJobName="walk-stops")
    states = [ended(sagemaker, name)["TrainingJobStatus"] for name in ("walk", "walk-fails", "walk-stops")]
    assert states == ["Completed", "Failed", "Stopped"]
    uri: str = sagemaker.describe_training_job(TrainingJobName="walk")["ModelArtifacts"]["S3ModelArtifacts"]
    return uri


def _process(sagemaker: Any, role: str) -> None:
    """A job that completes, and one that is stopped."""
    sagemaker.create_processing_job(**processing_request("walk", role, Tags=[{"Key": "project", "Value": "walk"}]))
    network = {"EnableNetworkIsolation": False}
    stopped = processing_request("walk-stops", role, Environment={"wait": "1"}, NetworkConfig=network)
    sagemaker.create_processing_job(**stopped)
    until(
        lambda: sagemaker.describe_processing_job(ProcessingJobName="walk-stops"),
        lambda job: "ProcessingStartTime" in job,
    )
    sagemaker.stop_processing_job(ProcessingJobName="walk-stops")
    for name, status in (("walk", "Completed"), ("walk-stops", "Stopped")):
        job = until(
            lambda name=name: sagemaker.describe_processing_job(ProcessingJobName=name),  # type: ignore[misc]
            lambda job: job["ProcessingJobStatus"] not in ("InProgress", "Stopping"),
        )
        assert job["ProcessingJobStatus"] == status, job
    assert sagemaker.describe_processing_job(ProcessingJobName="walk")["ExitMessage"] == "processed"
    assert len(sagemaker.list_processing_jobs(NameContains="walk")["ProcessingJobSummaries"]) == 2
    for name in ("walk", "walk-stops"):
        sagemaker.delete_processing_job(ProcessingJobName=name)


def _tune(sagemaker: Any, role: str) -> None:
    """A tuning job that completes, with all that a description can hold, and one that is stopped."""
    config = {
        "Strategy": "Bayesian",
        "RandomSeed": 1,
        "TrainingJobEarlyStoppingType": "Auto",
        "TuningJobCompletionCriteria": {
            "TargetObjectiveMetricValue": 0.99,
            "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 9},
            "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
        },
    }
    tags = [{"Key": "project", "Value": "walk"}]
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("tuned", role, jobs=2, config=config, Tags=tags))
    tuned(sagemaker, "tuned")
    parents = [{"HyperParameterTuningJobName": "tuned"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "IdenticalDataAndAlgorithm"}
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("tuned-stops", role, jobs=30, WarmStartConfig=warm))
    until(lambda: children(sagemaker, "tuned-stops"), bool)
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tuned-stops")
    assert tuned(sagemaker, "tuned-stops")["HyperParameterTuningJobStatus"] == "Stopped"
    sagemaker.list_hyper_parameter_tuning_jobs()
    for name in ("tuned", "tuned-stops"):
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def _host(sagemaker: Any, runtime: Any, role: str, model: str) -> None:
    container = {"Image": SERVER, "ModelDataUrl": model}
    sagemaker.create_model(ModelName="walk", PrimaryContainer=container, ExecutionRoleArn=role)
    sagemaker.describe_model(ModelName="walk")
    variant = {
        "VariantName": "all",
        "ModelName": "walk",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1.0,
    }
    for name in ("walk", "walk-2"):
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.describe_endpoint_config(EndpointConfigName="walk")
    sagemaker.create_endpoint(EndpointName="walk", EndpointConfigName="walk")
    _in_service(sagemaker)
    sagemaker.update_endpoint(EndpointName="walk", EndpointConfigName="walk-2")
    _in_service(sagemaker)
    desired = {"VariantName": "all", "DesiredInstanceCount": 2, "DesiredWeight": 3.0}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="walk", DesiredWeightsAndCapacities=[desired])
    _in_service(sagemaker)
    answer = runtime.invoke_endpoint(EndpointName="walk", Body=b"hello", ContentType="text/plain")
    assert answer["Body"].read() == b"trained hello"
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName="walk", Body=b"hello", ContentType="text/plain")
    with closing(answer["Body"]) as body:
        assert [event["PayloadPart"]["Bytes"] for event in body] == [b"trained hello"]
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="walk", Body=b"broken", ContentType="text/plain")
    error = caught.value.response
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (500, "it broke")
    assert error["LogStreamArn"].startswith("arn:aws:logs:eu-west-1:000000000000:log-group:/aws/sagemaker/Endpoints/")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424


def _scale(scaling: Any) -> None:
    """The endpoint's variant, which has two instances: one too few for its scalable target."""
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/walk/variant/all",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    suspended = {"DynamicScalingInSuspended": True}
    arn = scaling.register_scalable_target(
        **resource, MinCapacity=3, MaxCapacity=3, SuspendedState=suspended, Tags={"project": "walk"}
    )["ScalableTargetARN"]
    scaling.tag_resource(ResourceARN=arn, Tags={"more": "1"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["more"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"project": "walk"}
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    tracking = {"TargetValue": 100.0, "PredefinedMetricSpecification": metric}
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [step], "Cooldown": 60}
    scaling.put_scaling_policy(
        **resource,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    scaling.put_scaling_policy(
        **resource, PolicyName="step", PolicyType="StepScaling", StepScalingPolicyConfiguration=steps
    )
    scaling.put_scheduled_action(
        **resource,
        ScheduledActionName="nightly",
        Schedule="cron(0 22 * * ? *)",
        Timezone="Europe/Zurich",
        EndTime=datetime(2200, 1, 1, tzinfo=UTC),
        ScalableTargetAction={"MinCapacity": 1},
    )
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    assert len(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 2
    assert len(scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]) == 1
    until(
        lambda: scaling.describe_scaling_activities(**resource)["ScalingActivities"],
        lambda activities: [each["StatusCode"] for each in activities] == ["Successful"],
    )
    scaling.delete_scheduled_action(**resource, ScheduledActionName="nightly")
    scaling.delete_scaling_policy(**resource, PolicyName="step")
    scaling.deregister_scalable_target(**resource)


def _host_asynchronously(sagemaker: Any, runtime: Any) -> None:
    """The model that is hosted, behind a queue."""
    variant = {"VariantName": "all", "ModelName": "walk", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    output = {"S3OutputPath": "s3://data/out/asynchronous", "S3FailurePath": "s3://data/out/failed"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="walk-queued",
        ProductionVariants=[variant],
        AsyncInferenceConfig={"OutputConfig": output},
    )
    sagemaker.describe_endpoint_config(EndpointConfigName="walk-queued")
    sagemaker.create_endpoint(EndpointName="walk-queued", EndpointConfigName="walk-queued")
    _in_service(sagemaker, "walk-queued")
    runtime.invoke_endpoint_async(EndpointName="walk-queued", InputLocation="s3://data/train/cat/1.txt")
    sagemaker.delete_endpoint(EndpointName="walk-queued")


def _transform(sagemaker: Any, gateway: Gateway) -> None:
    """A job that completes, and one that is stopped, of the model that is hosted."""
    tags = [{"Key": "project", "Value": "walk"}]
    sagemaker.create_transform_job(**transform_request("walk", "walk", Tags=tags, Environment={"A": "1"}))
    sagemaker.create_transform_job(**transform_request("walk-stops", "walk", MaxPayloadInMB=1))
    sagemaker.stop_transform_job(TransformJobName="walk-stops")
    for name, status in (("walk", "Completed"), ("walk-stops", "Stopped")):
        job = until(
            lambda name=name: sagemaker.describe_transform_job(TransformJobName=name),  # type: ignore[misc]
            lambda job: job["TransformJobStatus"] not in ("InProgress", "Stopping"),
        )
        assert job["TransformJobStatus"] == status, job
    s3 = gateway.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="data", Prefix="out/walk/")["Contents"]]
    answers = sorted(key for key in keys if key.endswith(".txt.out"))
    assert answers == ["out/walk/cat/1.txt.out", "out/walk/dog/2.txt.out"]
    assert s3.get_object(Bucket="data", Key=answers[0])["Body"].read().startswith(b"trained ")
    assert len(sagemaker.list_transform_jobs(NameContains="walk")["TransformJobSummaries"]) == 2


def _in_service(sagemaker: Any, name: str = "walk") -> None:
    done = until(
        lambda: sagemaker.describe_endpoint(EndpointName=name),
        lambda endpoint: endpoint["EndpointStatus"] not in ("Creating", "Updating"),
    )
    assert done["EndpointStatus"] == "InService", done


def _configure_notebooks(sagemaker: Any) -> None:
    name = {"NotebookInstanceLifecycleConfigName": "walk"}
    script = [{"Content": "ZWNobyBoZWxsbwo="}]
    sagemaker.create_notebook_instance_lifecycle_config(**name, OnStart=script, Tags=[{"Key": "a", "Value": "b"}])
    sagemaker.update_notebook_instance_lifecycle_config(**name, OnCreate=script, OnStart=script)
    sagemaker.describe_notebook_instance_lifecycle_config(**name)
    sagemaker.list_notebook_instance_lifecycle_configs()
    sagemaker.delete_notebook_instance_lifecycle_config(**name)
    sagemaker.list_notebook_instances()


def _tag_list_and_delete(sagemaker: Any) -> None:
    arn = sagemaker.describe_training_job(TrainingJobName="walk")["TrainingJobArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "1"}])
    assert {tag["Key"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]} == {"project", "more"}
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["more"])
    assert len(sagemaker.list_training_jobs(MaxResults=2, NameContains="walk")["TrainingJobSummaries"]) == 2
    _search(sagemaker)
    sagemaker.list_models()
    sagemaker.list_endpoint_configs()
    sagemaker.list_endpoints()
    sagemaker.delete_endpoint(EndpointName="walk")
    endpoint_gone(sagemaker, "walk")
    for name in ("walk", "walk-2"):
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName="walk")
    for name in ("walk", "walk-fails", "walk-stops"):
        sagemaker.delete_training_job(TrainingJobName=name)
    assert sagemaker.list_training_jobs(NameContains="walk")["TrainingJobSummaries"] == []


def _search(sagemaker: Any) -> None:
    """For each kind of resource that there is by now."""
    named = {"Name": "TrainingJobName", "Operator": "Contains", "Value": "walk"}
    known = {"Name": "Metrics.accuracy", "Operator": "GreaterThan", "Value": "0.5"}
    answer = sagemaker.search(Resource="TrainingJob", SearchExpression={"Filters": [named, known]}, MaxResults=1)
    assert answer["TotalHits"]["Value"] >= 1
    for resource in ("Endpoint", "Model", "HyperParameterTuningJob"):
        sagemaker.search(Resource=resource)
    hint = {"PropertyNameQuery": {"PropertyNameHint": "metrics."}}
    names = sagemaker.get_search_suggestions(Resource="TrainingJob", SuggestionQuery=hint)["PropertyNameSuggestions"]
    assert {"PropertyName": "Metrics.accuracy"} in names


def _read(members: dict[str, Any]) -> dict[str, Any]:
    """The body of an invocation is a stream, of bytes or of events, that its caller still has to read."""
    return {name: _nothing_of(value) for name, value in members.items()}


def _nothing_of(value: Any) -> Any:
    if isinstance(value, EventStream):
        return {"PayloadPart": {"Bytes": b""}}
    return b"" if hasattr(value, "read") else value


@pytest.mark.parametrize("operation", OWN)
def test_every_answer_keeps_botocores_model(answers: Answers, operation: str) -> None:
    assert answers[operation], f"the walk does not call {operation}"
    for shape, members in answers[operation]:
        if shape is None:
            assert members == {}
            continue
        report = ParamValidator().validate(members, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(violations(shape, members)) == []
        assert list(_empty(shape, members)) == []


def test_no_answer_has_a_member_that_is_not_in_the_model(answers: Answers, gateway: Gateway) -> None:
    assert answers
    assert "contains a member which is not specified" not in gateway.log()


def test_no_service_goes_without_such_a_test() -> None:
    assert set(own_operations()) == {*SERVICES, "ecr"}
    assert all(own_operations().values())


def test_the_operations_of_the_issue_are_ours() -> None:
    verbs = ("Create", "Describe", "Delete")
    kinds = ("TrainingJob", "ProcessingJob", "Model", "EndpointConfig", "Endpoint")
    assert {f"{verb}{kind}" for verb in verbs for kind in kinds} <= set(OWN)
    assert {
        *(f"List{kind}s" for kind in kinds),
        "StopTrainingJob",
        "StopProcessingJob",
        "CreateTransformJob",
        "DescribeTransformJob",
        "ListTransformJobs",
        "StopTransformJob",
        "InvokeEndpoint",
    } <= set(OWN)


def _empty(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Structures that were not set and answered all the same: sagemaker SDK 3.x rejects them."""
    if shape.type_name == "structure":
        for name, item in value.items():
            if shape.members[name].type_name == "structure" and item == {}:
                yield f"{path}.{name}"
            yield from _empty(shape.members[name], item, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from _empty(shape.member, item, f"{path}[]")
