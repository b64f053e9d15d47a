"""Lambda functions through boto3 on a real LocalStack: its own Lambda service, run by our executor."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from stagemaker.runtime.labels import LABEL
from tests.contract.localstack_process import LocalStack, running_localstack

LONG_S = 30
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip
CODE = """
import os, time
count = 0

def handler(event, context):
    global count
    count += 1
    print("got", event)
    if "raise" in event:
        raise KeyError("breed")
    if "sleep" in event:
        time.sleep(99)
    if "whoami" in event:
        import boto3
        return boto3.client("sts").get_caller_identity()["Arn"]
    greeting = os.environ.get("GREETING")
    return {"count": count, "pid": os.getpid(), "greeting": greeting, "version": context.function_version}
"""


class Stage:
    """A LocalStack with a role, and the functions that a test makes."""

    def __init__(self, localstack: LocalStack) -> None:
        self.localstack = localstack
        self.functions, self.logs = localstack.client("lambda"), localstack.client("logs")
        role = localstack.client("iam").create_role(RoleName="doggy", AssumeRolePolicyDocument=json.dumps(TRUST))
        self.role = role["Role"]["Arn"]

    def create(self, name: str, code: str = CODE, **settings: Any) -> None:
        arguments = {"Runtime": "python3.13", "Handler": "main.handler", "Timeout": 20} | settings
        self.functions.create_function(FunctionName=name, Role=self.role, Code={"ZipFile": zipped(code)}, **arguments)
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def invoke(self, name: str, event: Any, **settings: Any) -> tuple[Any, dict[str, Any]]:
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event), **settings)
        return json.loads(answer["Payload"].read()), answer

    def log(self, name: str) -> list[str]:
        streams = self.logs.describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
        if not streams:
            return []
        assert len(streams) == 1  # one environment
        events = self.logs.get_log_events(
            logGroupName=f"/aws/lambda/{name}", logStreamName=streams[0]["logStreamName"], startFromHead=True
        )["events"]
        return [event["message"] for event in events]


def zipped(code: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("main.py", code)
    return data.getvalue()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LONG_S
    while True:
        try:
            if found := condition():
                return found
        except ClientError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


def labels(path: Path) -> list[str]:
    """The label in the environment of one process, as `/proc/<number>`, if it has one."""
    try:
        entries = (path / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    return [entry.partition("=")[2] for entry in entries if entry.startswith(f"{LABEL}=")]


def left(prefix: str) -> list[str]:
    """What runs over one state folder, and the temporary folders of it."""
    running = [label for path in Path("/proc").glob("[0-9]*") for label in labels(path) if label.startswith(prefix)]
    return running + [str(path) for path in Path("/tmp").glob(f"stagemaker-{prefix}*")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running_localstack(tmp_path_factory.mktemp("localstack")) as localstack:
        yield Stage(localstack)


def test_a_function_answers_logs_and_stays_warm(stage: Stage) -> None:
    stage.create("plain", Environment={"Variables": {"GREETING": "hej"}})
    first, answer = stage.invoke("plain", {"a": 1}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"], answer.get("FunctionError")) == (200, "$LATEST", None)
    assert (first["count"], first["greeting"], first["version"]) == (1, "hej", "$LATEST")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "got {'a': 1}\nEND RequestId: " in tail
    second, _ = stage.invoke("plain", {"a": 2})
    assert (second["count"], second["pid"]) == (2, first["pid"])
    lines = until(lambda: (found := stage.log("plain")) and len(found) == 8 and found)
    kinds = ["START", "got", "END", "REPORT"] * 2
    assert [line.split()[0] for line in lines] == kinds


def test_it_has_the_credentials_of_its_role(stage: Stage) -> None:
    stage.create("whoami")
    arn, _ = stage.invoke("whoami", {"whoami": True})
    assert arn == "arn:aws:sts::000000000000:assumed-role/doggy/whoami"


def test_an_error_of_the_function(stage: Stage) -> None:
    stage.create("raises")
    error, answer = stage.invoke("raises", {"raise": True})
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'breed'")
    assert "in handler" in error["stackTrace"][0]


def test_a_timeout(stage: Stage) -> None:
    stage.create("slow", Timeout=3)
    before, _ = stage.invoke("slow", {})
    error, answer = stage.invoke("slow", {"sleep": True})
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 3.00 seconds")
    after, _ = stage.invoke("slow", {})
    assert after["count"] == 1
    assert after["pid"] != before["pid"]
    assert not Path(f"/proc/{before['pid']}").exists()


def test_a_handler_that_is_missing(stage: Stage) -> None:
    stage.create("missing", Handler="main.nothing")
    error, answer = stage.invoke("missing", {})
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert error["errorMessage"] == "Handler 'nothing' missing on module 'main'"
    assert any("[ERROR] Runtime.HandlerNotFound" in line for line in until(lambda: stage.log("missing")))


def test_new_code_and_new_settings_are_used(stage: Stage) -> None:
    stage.create("changes")
    first, _ = stage.invoke("changes", {})
    updated = stage.functions.get_waiter("function_updated_v2")
    stage.functions.update_function_code(FunctionName="changes", ZipFile=zipped("def handler(e, c): return 'new'"))
    updated.wait(FunctionName="changes", WaiterConfig={"Delay": 1})
    assert stage.invoke("changes", {})[0] == "new"
    stage.functions.update_function_configuration(FunctionName="changes", Handler="main.gone")
    updated.wait(FunctionName="changes", WaiterConfig={"Delay": 1})
    assert stage.invoke("changes", {})[0]["errorType"] == "Runtime.HandlerNotFound"
    until(lambda: not Path(f"/proc/{first['pid']}").exists())


def test_a_version_keeps_its_code_and_can_be_provisioned(stage: Stage) -> None:
    stage.create("versions")
    stage.functions.publish_version(FunctionName="versions")
    stage.functions.update_function_code(FunctionName="versions", ZipFile=zipped("def handler(e, c): return 'new'"))
    stage.functions.get_waiter("function_updated_v2").wait(FunctionName="versions", WaiterConfig={"Delay": 1})
    arguments = {"FunctionName": "versions", "Qualifier": "1"}
    stage.functions.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=2, **arguments)

    def status() -> str:
        return str(stage.functions.get_provisioned_concurrency_config(**arguments)["Status"])

    until(lambda: status() != "IN_PROGRESS")
    assert status() == "READY"
    assert stage.invoke("versions", {}, Qualifier="1")[0]["version"] == "1"
    assert stage.invoke("versions", {})[0] == "new"


def test_a_deleted_function_leaves_no_process(stage: Stage) -> None:
    stage.create("deleted")
    pid = stage.invoke("deleted", {})[0]["pid"]
    stage.functions.delete_function(FunctionName="deleted")
    until(lambda: not Path(f"/proc/{pid}").exists())


def refusal(stage: Stage, name: str) -> str:
    waiter = stage.functions.get_waiter("function_active_v2")
    with pytest.raises(WaiterError):
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1})
    configuration = stage.functions.get_function(FunctionName=name)["Configuration"]
    assert configuration["State"] == "Failed"
    return str(configuration["StateReason"])


def test_an_image_is_refused(stage: Stage) -> None:
    image = {"ImageUri": "stagemaker/lambda:latest"}
    stage.functions.create_function(FunctionName="image", Role=stage.role, PackageType="Image", Code=image)
    assert "PackageType Image needs Docker" in refusal(stage, "image")


def test_another_runtime_is_refused(stage: Stage) -> None:
    code = {"ZipFile": zipped("")}
    arguments = {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code}
    stage.functions.create_function(FunctionName="node", Role=stage.role, **arguments)
    assert "Runtime nodejs22.x needs Docker: Stagemaker runs only python3.x." in refusal(stage, "node")


def test_an_event_that_is_too_large(stage: Stage) -> None:
    stage.create("large")
    with pytest.raises(ClientError, match="7000002 byte payload is too large") as failure:
        stage.invoke("large", "x" * 7_000_000)
    assert failure.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert stage.invoke("large", "x")[0]["count"] == 1


def test_nothing_is_left_after_shutdown(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stage = Stage(localstack)
        stage.create("warm")
        [label] = labels(Path(f"/proc/{stage.invoke('warm', {})[0]['pid']}"))
        prefix = label.partition("-")[0]
        assert len(left(prefix)) == 3  # the keeper, the function, its temporary folder
        localstack.stop()
        assert not left(prefix)


def test_no_process_is_left_after_a_kill_and_no_folder_after_the_next_start(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stage = Stage(localstack)
        stage.create("warm")
        [label] = labels(Path(f"/proc/{stage.invoke('warm', {})[0]['pid']}"))
        prefix = label.partition("-")[0]
        localstack.process.kill()
        until(lambda: len(left(prefix)) == 1)
    with running_localstack(tmp_path / "one"):
        assert not left(prefix)
