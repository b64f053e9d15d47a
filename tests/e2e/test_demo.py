"""The whole demo as `make demo` runs it, on a small data set."""

import json
import socket
import subprocess
import tempfile
from pathlib import Path

from infra.clients import Clients, connect
from infra.paths import CHECKOUT
from tests.e2e import loads, rights
from tests.e2e.environment import EPOCHS, TITLES, Environment, accuracy, leftovers


def folders(environment: Environment) -> set[str]:
    """The names in the state folder, except those of LocalStack's own folders and of the lock."""
    return {entry.name for entry in environment.paths.state.iterdir()} - {"cache", "etc", "usr", "var", "lock"}


def test_the_demo_runs_to_the_proof_and_leaves_nothing(environment: Environment, tmp_path: Path) -> None:
    elsewhere = set(Path(tempfile.gettempdir()).glob("localstack*"))
    before = {path.name for path in CHECKOUT.iterdir()}
    code, output = environment.run("demo", EPOCHS)
    assert code == 0, output
    assert accuracy(output) >= 0.8, output
    for title in TITLES:
        assert f"> {title}" in output
    assert "valid_accuracy=" in output, "the training's log lines reach the terminal"
    assert "TensorBoard files: s3://stagemaker-demo-" in output
    assert "Three photos" in output
    assert output.count("created: ") >= len(TITLES)
    assert "listens on 127.0.0.1:" in output
    assert "resources deleted, LocalStack stopped" in output
    assert leftovers(tmp_path) == []
    assert folders(environment) == {"log"}
    assert {path.name for path in CHECKOUT.iterdir()} == before
    assert set(Path(tempfile.gettempdir()).glob("localstack*")) == elsewhere
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", environment.port)) != 0


def check_the_four_systems(environment: Environment, clients: Clients) -> None:
    """Deploys the function for each system and checks the answer to its event. `deploy` changes only the function and
    its alias."""
    image = {"s3": f"s3://stagemaker-demo-{clients.account}-us-east-1/data/test/digit-7/7-017.png"}
    asked = {"endpoint_name": "stagemaker-demo", "request_dict": json.dumps(image)}
    answers = {}
    for system, event in {"A": image, "B": image, "C": asked, "E": image}.items():
        code, output = environment.run("deploy", EPOCHS, f"--system={system}")
        assert code == 0, output
        assert "2 of " in output, output
        answer = clients.lambda_.invoke(
            FunctionName="stagemaker-demo-proxy", Qualifier="live", Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer
        answers[system] = json.loads(answer["Payload"].read())
    (logits,) = json.loads(answers["B"])
    assert answers["A"] == {"statusCode": 200, "body": answers["B"]}
    assert answers["C"] == [logits.index(max(logits))]
    assert answers["E"].keys() == {"statusCode", "headers", "type-result", "COntent-Type-In", "body"}
    assert answers["E"]["body"] == answers["B"]


def check_the_address(environment: Environment, clients: Clients) -> None:
    """A photo by curl, as a page or a person sends it, is answered with its label; two environments wait for it."""
    code, output = environment.run("deploy", EPOCHS, "--url", "--origin=http://localhost:3000", PROVISIONED="2")
    assert code == 0, output
    place = {"FunctionName": "stagemaker-demo-proxy", "Qualifier": "live"}
    address = clients.lambda_.get_function_url_config(**place)["FunctionUrl"]
    assert address in output
    assert clients.lambda_.get_provisioned_concurrency_config(**place)["Status"] == "READY"
    photo = environment.digits / "test" / "digit-7" / "7-017.png"
    command = ["curl", "-sS", "--fail", "--max-time", "60", "-H", "Content-Type: image/png", "--data-binary"]
    answer = subprocess.run([*command, f"@{photo}", address], capture_output=True, check=True).stdout
    (labels,) = json.loads(answer)
    assert len(labels) == 5
    assert labels[0].keys() == {"label", "probability"}
    assert labels[0]["label"] == "digit-7"


def check_a_folder_of_photos_becomes_predictions(clients: Clients) -> None:
    """By batch transform with the model that is deployed: an object of logits for each photo of one digit. Its role is
    for the endpoint, and gets the rights for this besides."""
    bucket = f"stagemaker-demo-{clients.account}-us-east-1"
    lists = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    writes = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/models/predictions/*"}
    names = {"RoleName": "stagemaker-demo-hosting-us-east-1", "PolicyName": "transform"}
    policy = {"Version": "2012-10-17", "Statement": [lists, writes]}
    clients.iam.put_role_policy(**names, PolicyDocument=json.dumps(policy))
    (model,) = clients.sagemaker.list_models()["Models"]
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/test/digit-7/"}}
    clients.sagemaker.create_transform_job(
        TransformJobName="photos",
        ModelName=model["ModelName"],
        MaxConcurrentTransforms=2,
        TransformInput={"DataSource": source, "ContentType": "image/png"},
        TransformOutput={"S3OutputPath": f"s3://{bucket}/models/predictions", "Accept": "application/json"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    waiter = clients.sagemaker.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName="photos", WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    clients.iam.delete_role_policy(**names)
    keys = [each["Key"] for each in clients.s3.list_objects_v2(Bucket=bucket, Prefix="models/predictions/")["Contents"]]
    assert len(keys) == 6
    assert all(key.endswith(".png.out") for key in keys)
    sevens = 0
    for key in keys:
        (logits,) = json.loads(clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        sevens += logits.index(max(logits)) == 7
    assert sevens >= 4


def check_the_training_s_tensorboard_files(clients: Clients) -> None:
    """The job's own role has sent them, beside the model."""
    (job,) = clients.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    bucket, folder = f"stagemaker-demo-{clients.account}-us-east-1", f"models/{job['TrainingJobName']}/"
    found = clients.s3.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]
    keys = [each["Key"].removeprefix(folder) for each in found]
    assert [key for key in keys if key.startswith("tensorboard-output/events.out.tfevents.")]
    assert "output/model.tar.gz" in keys


def test_keep_leaves_the_stack_running_and_says_how_to_stop_it(environment: Environment, tmp_path: Path) -> None:
    code, output = environment.run("demo", EPOCHS, KEEP="1", STAGEMAKER_TIME_COMPRESSION="60")
    assert code == 0, output
    assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{environment.port}" in output
    assert "make stop" in output
    running = environment.host.status()
    assert running is not None
    clients = connect("local", "us-east-1", {"AWS_ENDPOINT_URL": running.endpoint})
    (endpoint,) = clients.sagemaker.list_endpoints()["Endpoints"]
    assert endpoint["EndpointStatus"] == "InService"

    code, output = environment.run("deploy", EPOCHS)
    assert code == 0, output
    assert "Nothing changed: all is as planned." in output
    assert "0 of 400 photos sent" in output

    check_the_training_s_tensorboard_files(clients)
    check_the_four_systems(environment, clients)
    check_the_address(environment, clients)
    check_a_folder_of_photos_becomes_predictions(clients)
    loads.check_every_load_of_the_document(environment, clients)
    rights.check_the_roles_have_what_a_run_needs(clients)
    rights.check_every_command_of_the_document(environment, clients, tmp_path)

    assert environment.run("stop") == (0, "Stopped.\n")
    assert leftovers(tmp_path) == []


def test_a_training_that_fails_ends_the_demo_with_the_reason(environment: Environment, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_text("no weights")
    code, output = environment.run("demo", f"--pretrained={weights}")
    assert code == 1
    failed = output[output.index("Failed:") :]
    assert "weights.safetensors" in failed
    assert "Next:" in failed
    assert leftovers(tmp_path) == []


def test_a_misspelt_hyperparameter_ends_the_demo_before_it_starts_the_stack(environment: Environment) -> None:
    code, output = environment.run("demo", "--set=epoch=3")
    assert code == 1
    assert "did you mean 'epochs'?" in output
    assert not environment.paths.record.exists()


def test_a_bad_data_set_ends_the_demo_before_it_starts_the_stack(environment: Environment, tmp_path: Path) -> None:
    code, output = environment.run("demo", DATA=str(tmp_path / "none"))
    assert code == 1
    assert "Failed: There is no folder" in output
    assert not environment.paths.record.exists()


def test_a_port_in_use_is_named(environment: Environment) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", environment.port))
        other.listen()
        code, output = environment.run("demo")
    assert code == 1
    assert f"Port {environment.port} of 127.0.0.1 is taken" in output
    assert "PORT=" in output
