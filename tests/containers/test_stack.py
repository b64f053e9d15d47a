"""The whole path in containers, as `make demo DOCKER=1` and the other commands run it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.typed import make
from tests.containers.container_stack import PROJECT, ContainerStack, docker, left_in_the_engine, of_compose, started
from tests.e2e.environment import EPOCHS, TITLES, accuracy

LIMIT_S = 300
BUCKET = "stagemaker-demo-000000000000-us-east-1"


def until[T](call: Callable[[], T], good: Callable[[T], bool], limit_s: float = LIMIT_S) -> T:
    """Calls `call` until `good` accepts its result, and returns that."""
    deadline = time.monotonic() + limit_s
    while not good(found := call()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def ended(clients: Clients, name: str) -> dict[str, Any]:
    """Waits for the end of a training job and returns its description."""
    return until(
        lambda: clients.sagemaker.describe_training_job(TrainingJobName=name),
        lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"),
    )


def localstack() -> str:
    """The id of LocalStack's container."""
    return docker("ps", *of_compose(service="localstack"))


def request(role: str, image: str, **more: Any) -> dict[str, Any]:
    """The request of CreateTrainingJob without input data."""
    return {
        "TrainingJobName": f"test-{uuid.uuid4().hex[:8]}",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": role,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    } | more


@pytest.fixture(scope="module")
def own_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image that this repository does not build. Its `train` runs the shell commands in the variable PROGRAM."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "train").write_text('#!/bin/sh\neval "$PROGRAM"\n')
    (folder / "Dockerfile").write_text("FROM python:3.13-slim\nCOPY --chmod=755 train /usr/local/bin/\n")
    docker("build", "--quiet", "--tag", "test-own-image:1", str(folder))
    yield "test-own-image:1"
    docker("image", "rm", "--force", "test-own-image:1")


def test_the_demo_runs_the_whole_path(demo: str, stack: ContainerStack) -> None:
    assert accuracy(demo) >= 0.8, demo
    for title in TITLES:
        assert f"> {title}" in demo
    assert "valid_accuracy=" in demo, "the training's log lines reach the terminal"
    assert f"listens on 127.0.0.1:{min(stack.port, stack.registry_port)}" in demo
    assert "make down" in demo


def test_the_endpoint_and_the_function_run_in_containers(clients: Clients) -> None:
    for name in ("serve", "lambda"):
        ours = (f"label=com.stagemaker.network={PROJECT}", f"ancestor=stagemaker/{name}:latest")
        assert docker("ps", "--quiet", *(word for each in ours for word in ("--filter", each)))
    assert clients.sagemaker.list_endpoints()["Endpoints"][0]["EndpointStatus"] == "InService"


def test_a_second_deploy_changes_nothing(demo: str, stack: ContainerStack) -> None:
    code, output = stack.run("deploy", EPOCHS)
    assert code == 0, output
    assert "Nothing changed: all is as planned." in output


def test_invoke_shows_five_labels(demo: str, stack: ContainerStack) -> None:
    photo = stack.data / "test" / "digit-7" / "7-017.png"
    code, output = stack.run("invoke", IMAGE=str(photo))
    assert code == 0, output
    assert output.count("digit-") >= 5


def test_two_hosts_train_one_model(clients: Clients, role: str) -> None:
    jobs = clients.sagemaker.list_training_jobs(NameContains="stagemaker-demo-")["TrainingJobSummaries"]
    alone = clients.sagemaker.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    copied = ("AlgorithmSpecification", "HyperParameters", "InputDataConfig")
    resources = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1}
    asked = request(role, "", ResourceConfig=resources, **{key: alone[key] for key in copied})
    clients.sagemaker.create_training_job(**asked)
    together = ended(clients, asked["TrainingJobName"])
    assert together["TrainingJobStatus"] == "Completed", together.get("FailureReason")

    def measured(job: dict[str, Any]) -> float:
        return next(float(m["Value"]) for m in job["FinalMetricDataList"] if m["MetricName"] == "validation:accuracy")

    assert measured(together) == pytest.approx(measured(alone), abs=0.1)
    streams = clients.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{asked['TrainingJobName']}/"
    )["logStreams"]
    assert [s["logStreamName"].split("/")[1].rpartition("-")[0] for s in streams] == ["algo-1", "algo-2"]
    training = next(t for t in together["SecondaryStatusTransitions"] if t["Status"] == "Training")
    assert "ml.g5.xlarge has" in training["StatusMessage"], "the record says that the machine has no GPU"
    networks = docker("network", "ls", "--quiet", "--filter", f"label=com.stagemaker.network={PROJECT}").split()
    members = docker("network", "inspect", "--format", "{{range .Containers}}{{.Name}} {{end}}", *networks)
    assert asked["TrainingJobName"] not in members, "its network is ready for the next job"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo it broke >&2; exit 3", "AlgorithmError: See job logs for more information, exit code: 3"),
        ("echo no data > /opt/ml/output/failure; exit 1", "AlgorithmError: no data, exit code: 1"),
        ("exec /usr/bin/python3-missing", "exit code: 127"),
    ],
)
def test_any_image_runs_and_the_record_has_the_reason_of_its_end(
    clients: Clients, role: str, own_image: str, program: str, reason: str
) -> None:
    asked = request(role, own_image, Environment={"PROGRAM": program})
    clients.sagemaker.create_training_job(**asked)
    job = ended(clients, asked["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_a_container_reaches_s3_with_its_role(clients: Clients, role: str, stack: ContainerStack) -> None:
    program = f"import boto3; boto3.client('s3').head_object(Bucket='{BUCKET}', Key='data/test/digit-7/7-017.png')"
    asked = request(role, "stagemaker/lambda:latest")
    asked["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["python", "-c"],
        "ContainerArguments": [program],
    }
    clients.sagemaker.create_training_job(**asked)
    job = ended(clients, asked["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_no_container_of_a_user_reaches_the_registry(clients: Clients, role: str, stack: ContainerStack) -> None:
    (registry,) = docker("ps", *of_compose(service="registry")).split()
    of_each = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    address, *more = docker("inspect", "--format", of_each, registry).split()
    assert not more
    connect = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"
    reach = f'reach() {{ python -c "{connect}" "$@"; }}'
    program = f"{reach}; reach localstack 4566 && ! reach registry 5000 && ! reach {address} 5000"
    asked = request(role, "stagemaker/lambda:latest")
    asked["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["sh", "-c"], "ContainerArguments": [program]}
    clients.sagemaker.create_training_job(**asked)
    job = ended(clients, asked["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_an_unknown_image_is_refused(clients: Clients, role: str) -> None:
    for image in ("nobody/has-this:1", "000000000000.dkr.ecr.us-east-1.amazonaws.com/nothing:1"):
        with pytest.raises(ClientError) as refusal:
            clients.sagemaker.create_training_job(**request(role, image))
        assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_a_pushed_image_runs_as_function_and_as_job(clients: Clients, stack: ContainerStack, role: str) -> None:
    code, output = stack.run("push", "--dirty", "--target", "local", "lambda")
    assert code == 0, output
    ecr = clients_for(stack, "ecr")
    repository = ecr.describe_repositories(repositoryNames=["stagemaker/lambda"])["repositories"][0]
    (image,) = ecr.describe_images(repositoryName="stagemaker/lambda")["imageDetails"]
    by_digest = f"{repository['repositoryUri']}@{image['imageDigest']}"
    function = f"pushed-{uuid.uuid4().hex[:8]}"
    lambda_role = clients.iam.get_role(RoleName="stagemaker-demo-lambda-us-east-1")["Role"]["Arn"]
    made = clients.lambda_.create_function(
        FunctionName=function,
        Role=lambda_role,
        PackageType="Image",
        Code={"ImageUri": by_digest},
        Timeout=60,
        Environment={"Variables": {"ENDPOINT_NAME": "stagemaker-demo", "SYSTEM": "E"}},
    )
    try:
        assert made["CodeSha256"] == image["imageDigest"].removeprefix("sha256:")
        until(
            lambda: clients.lambda_.get_function_configuration(FunctionName=function)["State"],
            lambda state: state == "Active",
        )
        event = {"s3": f"s3://{BUCKET}/data/test/digit-7/7-017.png"}
        answer = clients.lambda_.invoke(FunctionName=function, Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()
        assert json.loads(answer["Payload"].read())["statusCode"] == 200
    finally:
        clients.lambda_.delete_function(FunctionName=function)

    tag = image["imageTags"][0]
    asked = request(role, f"000000000000.dkr.ecr.us-east-1.amazonaws.com/stagemaker/lambda:{tag}")
    asked["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["python", "-c"], "ContainerArguments": ["print(1)"]}
    allow = {"Effect": "Allow", "Action": "ecr:*", "Resource": repository["repositoryArn"]}  # besides the trainer's
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    names = {"RoleName": role.rpartition("/")[2], "PolicyName": "pull-lambda"}
    clients.iam.put_role_policy(**names, PolicyDocument=policy)
    try:
        clients.sagemaker.create_training_job(**asked)
        assert ended(clients, asked["TrainingJobName"])["TrainingJobStatus"] == "Completed"
    finally:
        clients.iam.delete_role_policy(**names)


def test_a_serving_container_that_dies_is_started_again(clients: Clients) -> None:
    def serving() -> list[str]:
        filters = [
            "--filter",
            f"label=com.stagemaker.network={PROJECT}",
            "--filter",
            "ancestor=stagemaker/serve:latest",
        ]
        return docker("ps", "--quiet", *filters).split()

    (before,) = serving()
    docker("kill", before)
    until(serving, lambda found: bool(found) and before not in found)
    photo = b"no photo"

    def answers() -> str:
        try:
            clients.runtime.invoke_endpoint(EndpointName="stagemaker-demo", ContentType="image/png", Body=photo)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "an answer to no photo"

    until(answers, lambda code: code == "ModelError")  # the container refuses the photo itself


def test_localstack_removes_the_containers_of_a_killed_one_at_its_start(
    clients: Clients, stack: ContainerStack
) -> None:
    container = localstack()
    before = docker("ps", *started()).split()
    assert before
    docker("kill", container)
    docker("start", container)
    until(lambda: docker("ps", *started()).split(), lambda now: not set(before) & set(now))


def test_down_removes_everything_of_a_killed_stack(clients: Clients, stack: ContainerStack) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", localstack()), lambda now: now == "healthy")
    clients.s3.create_bucket(Bucket=BUCKET)  # the new LocalStack has no records
    role = clients.iam.create_role(RoleName="anew", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    asked = request(role, "stagemaker/lambda:latest")
    asked["AlgorithmSpecification"] |= {"ContainerEntrypoint": ["sleep", "300"]}
    clients.sagemaker.create_training_job(**asked)
    until(lambda: docker("ps", *started()), bool)
    registry = f"localhost:{stack.registry_port}"
    docker("tag", "stagemaker/lambda:latest", f"{registry}/stagemaker/lambda:pushed")
    docker("kill", localstack())
    code, output = stack.run("stop", "--docker")
    assert (code, output.splitlines()[-1]) == (0, "Stopped.")
    assert left_in_the_engine() == []
    assert registry not in docker("image", "ls", "--format", "{{.Repository}}")
    assert docker("image", "ls", "--quiet", "stagemaker/lambda:latest"), "only the name at the registry is gone"
    settings = {"STAGEMAKER_PROJECT": PROJECT, "PORT": str(stack.port), "REGISTRY_PORT": str(stack.registry_port)}
    start, up = (make(target, settings) for target in ("start", "up"))
    for command in ("status", "logs"):
        assert stack.run(command) == (1, f"Nothing runs: {start}, or in containers {up}\n")


def test_start_status_and_stop(stack: ContainerStack) -> None:
    code, output = stack.run("start", "--docker")
    assert code == 0, output
    assert f"AWS_ENDPOINT_URL={stack.endpoint}" in output
    code, said = stack.run("status")
    assert code == 0
    assert said in output
    assert "already runs in containers" in stack.run("start", "--docker")[1]
    assert stack.run("stop", "--docker")[0] == 0
    assert left_in_the_engine() == []


def clients_for(stack: ContainerStack, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=stack.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
