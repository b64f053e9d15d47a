"""Lambda functions through boto3 on a real LocalStack: its own Lambda service, run by our executor."""

import base64
import io
import json
import os
import signal
import stat
import subprocess
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from stagemaker.runtime.process.labels import LABEL
from tests.contract import held_functions
from tests.contract.function_containers import running
from tests.contract.function_stack import FunctionStack, open_url, stack_in_containers, until, zipped
from tests.contract.held_functions import Held
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
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionStack]:
    folder = tmp_path_factory.mktemp("localstack")
    if request.param == "containers":
        with stack_in_containers(folder) as stack:
            stack.localstack.client("s3").create_bucket(Bucket=held_functions.BUCKET)
            yield stack
    else:
        with running_localstack(folder) as localstack:
            localstack.client("s3").create_bucket(Bucket=held_functions.BUCKET)
            yield FunctionStack(localstack)


def test_a_function_answers_logs_and_stays_warm(stack: FunctionStack) -> None:
    stack.create("plain", Environment={"Variables": {"GREETING": "hej"}})
    first, answer = stack.invoke("plain", {"a": 1}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"], answer.get("FunctionError")) == (200, "$LATEST", None)
    assert (first["count"], first["greeting"], first["version"]) == (1, "hej", "$LATEST")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "got {'a': 1}\nEND RequestId: " in tail
    second, _ = stack.invoke("plain", {"a": 2})
    assert (second["count"], second["host"], second["pid"]) == (2, first["host"], first["pid"])
    lines = until(lambda: (found := stack.log("plain")) and len(found) == 8 and found)
    kinds = ["START", "got", "END", "REPORT"] * 2
    assert [line.split()[0] for line in lines] == kinds


def test_it_has_the_credentials_of_its_role(stack: FunctionStack) -> None:
    stack.create("whoami")
    arn, _ = stack.invoke("whoami", {"whoami": True})
    assert arn == "arn:aws:sts::000000000000:assumed-role/doggy/whoami"


def test_an_error_of_the_function(stack: FunctionStack) -> None:
    stack.create("raises")
    error, answer = stack.invoke("raises", {"raise": True})
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'breed'")
    assert "in handler" in error["stackTrace"][0]


def test_a_timeout(stack: FunctionStack) -> None:
    stack.create("slow", Timeout=3)
    before, _ = stack.invoke("slow", {})
    error, answer = stack.invoke("slow", {"sleep": True})
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Task timed out after 3.00 seconds")
    after, _ = stack.invoke("slow", {})
    assert after["count"] == 1
    assert not stack.runs(before)
    assert stack.runs(after)


def test_a_handler_that_is_missing(stack: FunctionStack) -> None:
    stack.create("missing", Handler="main.nothing")
    error, answer = stack.invoke("missing", {})
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert error["errorMessage"] == "Handler 'nothing' missing on module 'main'"
    assert any("[ERROR] Runtime.HandlerNotFound" in line for line in until(lambda: stack.log("missing")))


def test_new_code_and_new_settings_are_used(stack: FunctionStack) -> None:
    stack.create("changes")
    first, _ = stack.invoke("changes", {})
    updated = stack.functions.get_waiter("function_updated_v2")
    stack.functions.update_function_code(FunctionName="changes", ZipFile=zipped("def handler(e, c): return 'new'"))
    updated.wait(FunctionName="changes", WaiterConfig={"Delay": 1})
    assert stack.invoke("changes", {})[0] == "new"
    stack.functions.update_function_configuration(FunctionName="changes", Handler="main.gone")
    updated.wait(FunctionName="changes", WaiterConfig={"Delay": 1})
    assert stack.invoke("changes", {})[0]["errorType"] == "Runtime.HandlerNotFound"
    until(lambda: not stack.runs(first))


def test_a_version_keeps_its_code_and_can_be_provisioned(stack: FunctionStack) -> None:
    stack.create("versions")
    stack.functions.publish_version(FunctionName="versions")
    stack.functions.update_function_code(FunctionName="versions", ZipFile=zipped("def handler(e, c): return 'new'"))
    stack.functions.get_waiter("function_updated_v2").wait(FunctionName="versions", WaiterConfig={"Delay": 1})
    arguments = {"FunctionName": "versions", "Qualifier": "1"}
    stack.functions.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=2, **arguments)

    def status() -> str:
        return str(stack.functions.get_provisioned_concurrency_config(**arguments)["Status"])

    until(lambda: status() != "IN_PROGRESS")
    assert status() == "READY"
    assert stack.invoke("versions", {}, Qualifier="1")[0]["version"] == "1"
    assert stack.invoke("versions", {})[0] == "new"


def test_a_deleted_function_leaves_no_process(stack: FunctionStack) -> None:
    stack.create("deleted")
    answer, _ = stack.invoke("deleted", {})
    assert stack.runs(answer)
    stack.functions.delete_function(FunctionName="deleted")
    until(lambda: not stack.runs(answer))


def programs(stack: FunctionStack, name: str) -> set[str]:
    """What runs the function now. Other tests run functions on this machine at the same time."""
    if stack.network:
        return set(running(stack.network))
    return {
        label for path in Path("/proc").glob("[0-9]*") for label in labels(path) if label.endswith(f"-lambda-{name}")
    }


@pytest.mark.parametrize("change", ["delete", "update"])
def test_what_starts_while_its_function_goes_does_not_stay(stack: FunctionStack, change: str) -> None:
    """Else it stays for the keepalive, and LocalStack cannot end before that."""
    name = f"{change}-cold"
    code = f"import boto3, time\nboto3.client('s3').create_bucket(Bucket='{name}')\ntime.sleep(2)\n"
    stack.create(name, code + "def handler(event, context): return 'old'")
    before, answers = programs(stack, name), list[object]()
    cold = threading.Thread(target=lambda: answers.append(stack.invoke(name, {})[0]))
    cold.start()
    s3 = stack.localstack.client("s3")
    until(lambda: any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]))
    if change == "delete":
        stack.functions.delete_function(FunctionName=name)
    else:
        stack.functions.update_function_code(FunctionName=name, ZipFile=zipped("def handler(e, c): return 'new'"))
    cold.join(30)
    assert answers == ["old"]
    until(lambda: not programs(stack, name) - before)


STARTS = """
import os, socket, time
begun = time.time()
time.sleep(0.5)
ended = time.time()

def handler(event, context):
    time.sleep(event)
    return [f"{socket.gethostname()} {os.getpid()}", begun, ended]
"""
AT_ONCE = 2 * len(os.sched_getaffinity(0))


def calls(stack: FunctionStack, name: str, number: int, event: object) -> list[Any]:
    """The answers, or the codes of the errors, of so many calls at once."""
    config = Config(max_pool_connections=number, retries={"total_max_attempts": 1})
    functions = stack.localstack.client("lambda", config=config)

    def call(_: int) -> Any:
        try:
            return json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
        except ClientError as error:
            return error.response["Error"]["Code"]

    with closing(functions), ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_many_cold_calls_take_turns_to_start(stack: FunctionStack) -> None:
    """Else each start is slower the more there are, until they come too late."""
    stack.create("herd", STARTS)
    answers = calls(stack, "herd", 3 * AT_ONCE, 3)
    assert [answer for answer in answers if len(answer) != 3] == []
    assert len({name for name, _, _ in answers}) > AT_ONCE
    for _, begun, _ in answers:
        starting = {name for name, other_begun, other_ended in answers if other_begun <= begun < other_ended}
        assert len(starting) <= AT_ONCE


def test_who_waits_for_a_start_takes_what_becomes_free(stack: FunctionStack) -> None:
    stack.create("handed-on", STARTS)
    answers = calls(stack, "handed-on", 5 * AT_ONCE, 0)
    assert [answer for answer in answers if len(answer) != 3] == []
    assert len({name for name, _, _ in answers}) < 5 * AT_ONCE


def test_reserved_concurrency_holds_while_calls_wait(stack: FunctionStack) -> None:
    stack.create("reserved", STARTS)
    stack.functions.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=2)
    answers = calls(stack, "reserved", 8, 2)
    assert answers.count("TooManyRequestsException") == 6


def test_provisioned_environments_and_the_limit_of_reserved_concurrency(stack: FunctionStack) -> None:
    """The rest of it is the same for both runtimes: `test_function_concurrency.py`."""
    held_functions.create(stack, "held")
    held_functions.provision(stack, "held", 1)
    assert held_functions.initialised(stack, "held", "1") == 1
    stack.functions.put_function_concurrency(FunctionName="held", ReservedConcurrentExecutions=2)
    held = Held(stack, "held", 3, Qualifier="live")
    held.wait(running=2, refused=1)
    stack.functions.delete_alias(FunctionName="held", Name="live")
    answers = held.release()
    assert sorted(answer["kind"] for answer in answers) == ["on-demand", "provisioned-concurrency"]
    warm = next(answer for answer in answers if answer["kind"] == "provisioned-concurrency")
    until(lambda: not stack.runs(warm))


def test_a_call_that_runs_ends_on_the_code_that_it_began_with(stack: FunctionStack) -> None:
    held_functions.create(stack, "running")
    held = Held(stack, "running", 1)
    held.wait(running=1)
    stack.functions.update_function_code(FunctionName="running", ZipFile=zipped("def handler(e, c): return 'new'"))
    stack.functions.get_waiter("function_updated_v2").wait(FunctionName="running", WaiterConfig={"Delay": 1})
    assert stack.invoke("running", {})[0] == "new"
    (answer,) = held.release()
    until(lambda: not stack.runs(answer))


def test_a_program_that_was_killed_while_it_waited_is_not_called(stack: FunctionStack) -> None:
    stack.create("killed")
    before, _ = stack.invoke("killed", {})
    for _ in range(5):
        if stack.network:
            subprocess.run(["docker", "kill", before["host"]], check=True, stdout=subprocess.DEVNULL)
        else:
            os.kill(before["pid"], signal.SIGKILL)
        until(partial(stack.is_dead, before))
        after, answer = stack.invoke("killed", {})
        assert answer.get("FunctionError") is None, after
        assert after["count"] == 1
        before = after


def refusal(stack: FunctionStack, name: str) -> str:
    waiter = stack.functions.get_waiter("function_active_v2")
    with pytest.raises(WaiterError):
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1})
    configuration = stack.functions.get_function(FunctionName=name)["Configuration"]
    assert configuration["State"] == "Failed"
    return str(configuration["StateReason"])


def test_another_runtime_is_refused(stack: FunctionStack) -> None:
    code = {"ZipFile": zipped("")}
    arguments = {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code}
    stack.functions.create_function(FunctionName="node", Role=stack.role, **arguments)
    assert "Runtime nodejs22.x needs an image: Stagemaker runs only python3.x." in refusal(stack, "node")


def test_code_that_leads_out_of_its_folder_is_refused(stack: FunctionStack, tmp_path: Path) -> None:
    victim, data = tmp_path / "victim", io.BytesIO()
    victim.touch(0o600)
    with zipfile.ZipFile(data, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(victim))
    arguments = {"Runtime": "python3.13", "Handler": "main.handler", "Code": {"ZipFile": data.getvalue()}}
    stack.functions.create_function(FunctionName="leads-out", Role=stack.role, **arguments)
    assert "'link' in the function's code leads out of its folder." in refusal(stack, "leads-out")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_an_event_that_is_too_large(stack: FunctionStack) -> None:
    stack.create("large")
    with pytest.raises(ClientError, match="7000002 byte payload is too large") as failure:
        stack.invoke("large", "x" * 7_000_000)
    assert failure.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert stack.invoke("large", "x")[0]["count"] == 1


def test_a_function_sees_the_client_context(stack: FunctionStack) -> None:
    code = "def handler(event, context):\n    seen = context.client_context\n    return seen.custom if seen else None"
    stack.create("context", code)
    given = base64.b64encode(json.dumps({"custom": {"breed": "Wäller"}}).encode()).decode()
    assert stack.invoke("context", {}, ClientContext=given)[0] == {"breed": "Wäller"}
    assert stack.invoke("context", {})[0] is None
    with pytest.raises(ClientError, match="Client context must be a valid Base64-encoded JSON object") as failure:
        stack.invoke("context", {}, ClientContext=base64.b64encode(b"[]").decode())
    assert failure.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_a_payload_that_is_not_json(stack: FunctionStack) -> None:
    stack.create("strict", "def handler(event, context): return event")
    with pytest.raises(ClientError, match="Could not parse payload into json") as failure:
        stack.functions.invoke(FunctionName="strict", Payload=b"not json")
    assert failure.value.response["Error"]["Code"] == "InvalidRequestContentException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert stack.invoke("strict", ["ä", None])[0] == ["ä", None]
    assert json.loads(stack.functions.invoke(FunctionName="strict")["Payload"].read()) == {}


def test_a_url_hands_text_as_text(stack: FunctionStack) -> None:
    stack.create("url", "def handler(event, context): return [event['isBase64Encoded'], event['body']]")
    url = open_url(stack.functions, "url")
    host = urlsplit(url).netloc

    def posted(kind: str, body: bytes) -> list[object]:
        headers = {"Host": host, "Content-Type": kind}
        request = urllib.request.Request(stack.localstack.endpoint, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: list[object] = json.loads(answer.read())
            return found

    assert posted("application/json; charset=utf-8", '{"breed": "Wäller"}'.encode()) == [False, '{"breed": "Wäller"}']
    assert posted("image/png", b"\x89PNG") == [True, base64.b64encode(b"\x89PNG").decode()]


def test_an_image_needs_docker(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stack = FunctionStack(localstack)
        image = {"ImageUri": "stagemaker/lambda:latest"}
        with pytest.raises(ClientError, match="PackageType Image needs Docker: ") as failure:
            stack.functions.create_function(FunctionName="image", Role=stack.role, PackageType="Image", Code=image)
        assert failure.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_nothing_is_left_after_shutdown(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stack = FunctionStack(localstack)
        stack.create("warm")
        [label] = labels(Path(f"/proc/{stack.invoke('warm', {})[0]['pid']}"))
        prefix = label.partition("-")[0]
        assert len(left(prefix)) == 3  # the keeper, the function, its temporary folder
        localstack.stop()
        assert not left(prefix)


def test_nothing_is_left_after_a_kill_and_the_next_start(tmp_path: Path) -> None:
    with running_localstack(tmp_path / "one") as localstack:
        stack = FunctionStack(localstack)
        stack.create("warm")
        [label] = labels(Path(f"/proc/{stack.invoke('warm', {})[0]['pid']}"))
        prefix = label.partition("-")[0]
        localstack.process.kill()
        until(lambda: not left(prefix))
    with running_localstack(tmp_path / "one"):
        assert not left(prefix)
