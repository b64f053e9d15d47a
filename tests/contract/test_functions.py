"""Lambda functions through boto3 on a real LocalStack: its own Lambda service, run by our executor."""

import base64
import io
import stat
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, WaiterError

from stagemaker.runtime.process.labels import LABEL
from tests.contract.function_containers_world import running
from tests.contract.functions_world import Stage, stage_in_containers, until, zipped
from tests.contract.localstack_process import running_localstack


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


@pytest.fixture(scope="module", params=["processes", "containers"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("localstack")
    if request.param == "containers":
        with stage_in_containers(folder) as stage:
            yield stage
    else:
        with running_localstack(folder) as localstack:
            yield Stage(localstack)


def test_a_function_answers_logs_and_stays_warm(stage: Stage) -> None:
    stage.create("plain", Environment={"Variables": {"GREETING": "hej"}})
    first, answer = stage.invoke("plain", {"a": 1}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"], answer.get("FunctionError")) == (200, "$LATEST", None)
    assert (first["count"], first["greeting"], first["version"]) == (1, "hej", "$LATEST")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "got {'a': 1}\nEND RequestId: " in tail
    second, _ = stage.invoke("plain", {"a": 2})
    assert (second["count"], second["host"], second["pid"]) == (2, first["host"], first["pid"])
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
    assert not stage.runs(before)
    assert stage.runs(after)


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
    until(lambda: not stage.runs(first))


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
    answer, _ = stage.invoke("deleted", {})
    assert stage.runs(answer)
    stage.functions.delete_function(FunctionName="deleted")
    until(lambda: not stage.runs(answer))


def programs(stage: Stage) -> set[str]:
    """What runs functions now."""
    if stage.network:
        return set(running(stage.network))
    return {label for path in Path("/proc").glob("[0-9]*") for label in labels(path) if "-lambda-" in label}


@pytest.mark.parametrize("change", ["delete", "update"])
def test_what_starts_while_its_function_goes_does_not_stay(stage: Stage, change: str) -> None:
    """Else it stays for the keepalive, and LocalStack cannot end before that."""
    name = f"{change}-cold"
    code = f"import boto3, time\nboto3.client('s3').create_bucket(Bucket='{name}')\ntime.sleep(2)\n"
    stage.create(name, code + "def handler(event, context): return 'old'")
    before, answers = programs(stage), list[object]()
    cold = threading.Thread(target=lambda: answers.append(stage.invoke(name, {})[0]))
    cold.start()
    s3 = stage.localstack.client("s3")
    until(lambda: any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]))
    if change == "delete":
        stage.functions.delete_function(FunctionName=name)
    else:
        stage.functions.update_function_code(FunctionName=name, ZipFile=zipped("def handler(e, c): return 'new'"))
    cold.join(30)
    assert answers == ["old"]
    until(lambda: not programs(stage) - before)


def refusal(stage: Stage, name: str) -> str:
    waiter = stage.functions.get_waiter("function_active_v2")
    with pytest.raises(WaiterError):
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1})
    configuration = stage.functions.get_function(FunctionName=name)["Configuration"]
    assert configuration["State"] == "Failed"
    return str(configuration["StateReason"])


def test_another_runtime_is_refused(stage: Stage) -> None:
    code = {"ZipFile": zipped("")}
    arguments = {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code}
    stage.functions.create_function(FunctionName="node", Role=stage.role, **arguments)
    assert "Runtime nodejs22.x needs an image: Stagemaker runs only python3.x." in refusal(stage, "node")


def test_code_that_leads_out_of_its_folder_is_refused(stage: Stage, tmp_path: Path) -> None:
    victim, data = tmp_path / "victim", io.BytesIO()
    victim.touch(0o600)
    with zipfile.ZipFile(data, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(victim))
    arguments = {"Runtime": "python3.13", "Handler": "main.handler", "Code": {"ZipFile": data.getvalue()}}
    stage.functions.create_function(FunctionName="leads-out", Role=stage.role, **arguments)
    assert "'link' in the function's code leads out of its folder." in refusal(stage, "leads-out")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_an_event_that_is_too_large(stage: Stage) -> None:
    stage.create("large")
    with pytest.raises(ClientError, match="7000002 byte payload is too large") as failure:
        stage.invoke("large", "x" * 7_000_000)
    assert failure.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert stage.invoke("large", "x")[0]["count"] == 1


def test_an_image_needs_docker(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stage = Stage(localstack)
        image = {"ImageUri": "stagemaker/lambda:latest"}
        with pytest.raises(ClientError, match="PackageType Image needs Docker: ") as failure:
            stage.functions.create_function(FunctionName="image", Role=stage.role, PackageType="Image", Code=image)
        assert failure.value.response["Error"]["Code"] == "InvalidParameterValueException"


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
