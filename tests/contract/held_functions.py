"""A function whose calls stay until they are released, so that a test knows what runs at once; it needs no clock.

Marks lie in a bucket of LocalStack, which processes and containers reach alike.
"""

import json
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.function_stack import FunctionStack, until

BUCKET = "held"
CODE = """
import os, socket, time, urllib.error, urllib.request, uuid

KIND = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
VERSION = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]


def send(method, key):
    url = os.environ["AWS_ENDPOINT_URL"] + "/held/" + key
    request = urllib.request.Request(url, method=method, headers={"Content-Type": "text/plain"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


send("PUT", f"init/{os.environ['AWS_LAMBDA_FUNCTION_NAME']}/{VERSION.strip('$')}/{KIND}/{uuid.uuid4()}")


def handler(event, context):
    if "hold" in event:
        send("PUT", f"in/{event['hold']}/{context.aws_request_id}")
        while send("GET", f"go/{event['hold']}") != 200:
            time.sleep(0.05)
        os.stat(os.environ["LAMBDA_TASK_ROOT"] + "/main.py")  # it could still import of its code
    if "fail" in event:
        raise RuntimeError("it failed")
    return {"kind": KIND, "version": VERSION, "pid": os.getpid(), "host": socket.gethostname(),
            "arn": context.invoked_function_arn}
"""


class Held:
    """Calls of one function that are in it until `release`."""

    def __init__(self, stack: FunctionStack, name: str, number: int, **arguments: Any) -> None:
        self._stack, self.mark = stack, uuid.uuid4().hex
        self._pool = ThreadPoolExecutor(number)
        config = Config(max_pool_connections=number, retries={"total_max_attempts": 1}, read_timeout=120)
        functions = stack.localstack.client("lambda", config=config)
        arguments = {"FunctionName": name, "Payload": json.dumps({"hold": self.mark}), **arguments}
        self._calls: list[Future[Any]] = [self._pool.submit(functions.invoke, **arguments) for _ in range(number)]

    def wait(self, running: int, refused: int = 0) -> None:
        """Until so many are in the function, and so many are refused."""
        until(lambda: (len(keys(self._stack, f"in/{self.mark}/")), len(self.errors())) == (running, refused))

    def errors(self) -> list[ClientError]:
        """Of the calls that have failed so far."""
        failures = [call.exception() for call in self._calls if call.done()]
        return [failure for failure in failures if isinstance(failure, ClientError)]

    def release(self) -> list[dict[str, Any]]:
        """Let all go; what those answer that did not fail."""
        self._stack.localstack.client("s3").put_object(Bucket=BUCKET, Key=f"go/{self.mark}")
        answers = []
        for call in self._calls:
            with suppress(ClientError):
                answers.append(json.loads(call.result(120)["Payload"].read()))
        self._pool.shutdown()
        return answers


def keys(stack: FunctionStack, prefix: str) -> list[str]:
    """The marks that begin so."""
    found = stack.localstack.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


def initialised(stack: FunctionStack, name: str, version: str, kind: str = "provisioned-concurrency") -> int:
    """How many environments of this version were initialised so far."""
    return len(keys(stack, f"init/{name}/{version}/{kind}/"))


def create(stack: FunctionStack, name: str, **settings: Any) -> None:
    """The function, with a version 1 and an alias `live` of it."""
    stack.create(name, CODE, **{"Timeout": 120} | settings)
    publish(stack, name)
    stack.functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")


def publish(stack: FunctionStack, name: str) -> str:
    """The number of the new version, which can be called."""
    version: str = stack.functions.publish_version(FunctionName=name)["Version"]
    waiter = stack.functions.get_waiter("function_active_v2")
    waiter.wait(FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 1})
    return version


def provision(stack: FunctionStack, name: str, number: int, qualifier: str = "live") -> Any:
    """Provisioned concurrency, once it is there; GetProvisionedConcurrencyConfig's answer."""
    arguments = {"FunctionName": name, "Qualifier": qualifier}
    asked = stack.functions.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=number, **arguments)
    assert (asked["ResponseMetadata"]["HTTPStatusCode"], asked["Status"]) == (202, "IN_PROGRESS")

    def settled() -> Any:
        found = stack.functions.get_provisioned_concurrency_config(**arguments)
        return found if found["Status"] != "IN_PROGRESS" else None

    return until(settled)
