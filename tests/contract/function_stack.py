"""Functions through boto3 on a real LocalStack, and what tests of them share."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.ports import free_port
from tests.contract.function_containers import LAMBDA_IMAGE, network, running
from tests.contract.localstack_process import LocalStack, running_localstack

LONG_S = 60
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip
CODE = """
import os, socket, time
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
    where = {"pid": os.getpid(), "host": socket.gethostname()}
    return {"count": count, "greeting": greeting, "version": context.function_version, **where}
"""


def _state(pid: int) -> str | None:
    """Of a process, as proc(5) has it; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


class FunctionStack:
    """A LocalStack with a role, and the functions that a test makes; `network` is where its containers are, if it runs
    any."""

    def __init__(self, localstack: LocalStack, network: str = "") -> None:
        self.localstack, self.network = localstack, network
        self.functions, self.logs = localstack.client("lambda"), localstack.client("logs")
        role = localstack.client("iam").create_role(RoleName="doggy", AssumeRolePolicyDocument=json.dumps(TRUST))
        self.role = role["Role"]["Arn"]

    def runs(self, answer: Mapping[str, Any]) -> bool:
        """Whether the environment that answered still does."""
        if not self.network:
            return _state(answer["pid"]) is not None
        return any(container.startswith(answer["host"]) for container in running(self.network))

    def is_dead(self, answer: Mapping[str, Any]) -> bool:
        """Whether the program that answered can answer no more, though nobody may have noticed yet."""
        return not self.runs(answer) if self.network else _state(answer["pid"]) in (None, "Z", "X")

    def create(self, name: str, code: str = CODE, **settings: Any) -> None:
        arguments = {"Runtime": "python3.13", "Handler": "main.handler", "Timeout": 20} | settings
        self.functions.create_function(FunctionName=name, Role=self.role, Code={"ZipFile": zipped(code)}, **arguments)
        self.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def invoke(self, name: str, event: Any, **settings: Any) -> tuple[Any, dict[str, Any]]:
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event), **settings)
        return json.loads(answer["Payload"].read()), answer

    def invoke_event(self, name: str, event: Any) -> int:
        """Asynchronously; the status of the answer."""
        answer = self.functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
        assert answer["Payload"].read() == b""
        return int(answer["StatusCode"])

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


def open_url(functions: Any, name: str, **settings: Any) -> str:
    """A function URL that everybody may call; its address."""
    url: str = functions.create_function_url_config(FunctionName=name, **{"AuthType": "NONE"} | settings)["FunctionUrl"]
    place = {"FunctionName": name, "Principal": "*"} | {k: v for k, v in settings.items() if k == "Qualifier"}
    functions.add_permission(StatementId="url", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE", **place)
    functions.add_permission(
        StatementId="function", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True, **place
    )
    return url


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


@contextmanager
def stack_in_containers(folder: Path, **environment: str) -> Iterator[FunctionStack]:
    """On a network of its own, over which the functions reach LocalStack."""
    with network() as (name, gateway):
        port = free_port()
        settings = {
            "STAGEMAKER_RUNTIME": "docker",
            "STAGEMAKER_NETWORK": name,
            "STAGEMAKER_FUNCTION_IMAGE": LAMBDA_IMAGE,
            "STAGEMAKER_GATEWAY_URL": f"http://{gateway}:{port}",
            "GATEWAY_LISTEN": f"127.0.0.1:{port},{gateway}:{port}",
            "LOCALSTACK_HOST": f"127.0.0.1:{port}",
        }
        with running_localstack(folder, **settings, **environment) as localstack:
            yield FunctionStack(localstack, name)
