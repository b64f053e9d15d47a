"""Lambda functions of PackageType Image through boto3 on a real LocalStack, in containers of the real engine."""

import base64
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from docker.api import APIClient

from benchmarks.ports import free_port
from stagemaker.runtime.docker.engine import Engine
from tests.contract.docker_environment import Proxy
from tests.contract.docker_image import docker_url
from tests.contract.function_containers import LAMBDA_IMAGE, running
from tests.contract.function_stack import FunctionStack, stack_in_containers, until, zipped
from tests.contract.registry_stack import RegistryStack, docker, running_service

HANDLER = """
import os, pathlib, time, urllib.error, urllib.request
VERSION = "{version}"
print("loading", VERSION)
count = 0

def handler(event, context):
    global count
    count += 1
    if "memory" in event:
        held = b"x" * (event["memory"] * 2**20)
    if "write" in event:
        pathlib.Path(event["write"]).write_text("mine")
    if "lines" in event:
        for number in range(event["lines"]):
            print("line", number)
    if "sleep" in event:
        time.sleep(99)
    if "endpoint" in event:
        import boto3
        return [boto3.client("sts").get_caller_identity()["Arn"], boto3.client("s3").list_buckets()["Buckets"]]
    if "ask" in event:
        try:
            urllib.request.urlopen(f"http://{{event['ask']}}/2018-06-01/runtime/invocation/next", timeout=10)
        except urllib.error.HTTPError as error:
            return error.code
    return {{
        "version": VERSION, "count": count, "host": os.uname().nodename, "cwd": os.getcwd(), "user": os.getuid(),
        "env": dict(os.environ), "terminal": os.environ.get("TERM"),
    }}

def other(event, context):
    return "other"
"""


class Images:
    """Images that exist only here. A tag can move."""

    def __init__(self, client: APIClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.ids: set[str] = set()
        self.name = f"stagemaker-test-{uuid.uuid4().hex[:8]}"

    def build(self, version: str, tag: str) -> str:
        """The image's name."""
        program = self.folder / "main.py"
        program.write_text(HANDLER.format(version=version))
        program.chmod(0o644)
        (self.folder / "Dockerfile").write_text(f'FROM {LAMBDA_IMAGE}\nCOPY main.py .\nCMD ["main.handler"]\n')
        name = f"{self.name}:{tag}"
        answers = self.client.build(path=str(self.folder), tag=name, rm=True, decode=True)
        errors = [answer["error"] for answer in answers if "error" in answer]
        assert not errors
        self.ids.add(self.digest(name))
        return name

    def digest(self, name: str) -> str:
        """64 hex digits."""
        return str(self.client.inspect_image(name)["Id"].removeprefix("sha256:"))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    with closing(APIClient(base_url=docker_url(), version="1.43", timeout=120)) as client:
        images = Images(client, tmp_path_factory.mktemp("image"))
        yield images
        for image in client.images(all=True):
            if image["Id"].removeprefix("sha256:") in images.ids:
                client.remove_image(image["Id"], force=True)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[FunctionStack]:  # the images go last
    with stack_in_containers(tmp_path_factory.mktemp("localstack"), LAMBDA_KEEPALIVE_MS="2000") as stack:
        yield stack
        stack.localstack.stop()
        assert running(stack.network) == []


def create(stack: FunctionStack, name: str, image: str, **settings: Any) -> None:
    code = {"ImageUri": image}
    arguments = {"PackageType": "Image", "Timeout": 20, "Role": stack.role} | settings
    stack.functions.create_function(FunctionName=name, Code=code, **arguments)
    stack.functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


@pytest.fixture(scope="module")
def image(images: Images) -> str:
    return images.build("one", "one")


def test_an_image_runs_as_it_is(stack: FunctionStack, images: Images, image: str) -> None:
    create(stack, "plain", image, Environment={"Variables": {"GREETING": "hej"}})
    first, answer = stack.invoke("plain", {"lines": 500}, LogType="Tail")
    assert (answer.get("FunctionError"), first["version"], first["count"]) == (None, "one", 1)
    assert (first["cwd"], first["user"], first["env"]["GREETING"]) == ("/var/task", 993, "hej")
    assert base64.b64decode(answer["LogResult"]).decode().splitlines()[-2].startswith("END RequestId: ")
    second, _ = stack.invoke("plain", {"lines": 500})
    assert (second["count"], second["host"]) == (2, first["host"])
    output = [f"line {number}" for number in range(500)]
    lines = until(lambda: (found := stack.log("plain")) and len(found) == 1007 and found)
    assert [line.split(" RequestId")[0].strip() for line in lines] == [
        "loading one", *(["START", *output, "END", "REPORT"] * 2)
    ]  # fmt: skip
    function = stack.functions.get_function(FunctionName="plain")
    assert function["Configuration"]["CodeSha256"] == images.digest(image)
    assert function["Code"]["ImageUri"] == image
    assert function["Code"]["ResolvedImageUri"] == f"{images.name}@sha256:{images.digest(image)}"
    until(lambda: not stack.runs(first))  # it is stopped after the keepalive


def test_its_settings_can_be_overridden(stack: FunctionStack, image: str) -> None:
    changes = {"EntryPoint": ["python", "-u", "-m", "awslambdaric"], "Command": ["main.other"]}
    create(stack, "changed", image, ImageConfig=changes)
    assert stack.invoke("changed", {})[0] == "other"
    create(stack, "folder", image, ImageConfig={"WorkingDirectory": "/usr"})
    assert stack.invoke("folder", {})[0]["errorType"] == "Runtime.ImportModuleError"
    create(stack, "kept", image, ImageConfig={"EntryPoint": changes["EntryPoint"]})
    assert stack.invoke("kept", {})[0]["version"] == "one"  # with the image's own command


@pytest.mark.parametrize(
    "uri",
    [
        "stagemaker-test-nothing:latest",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/nothing:latest",
        f"localhost:5000/nothing@sha256:{'0' * 64}",
    ],
)
def test_an_image_that_is_not_there(stack: FunctionStack, image: str, uri: str) -> None:
    with pytest.raises(ClientError) as failure:
        create(stack, "nothing", uri)
    message = f"Source image {uri} does not exist. Provide a valid source image."
    error = failure.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidParameterValueException", message)
    with pytest.raises(ClientError, match="Function not found"):
        stack.functions.get_function(FunctionName="nothing")


@pytest.mark.parametrize(
    "setting",
    [{"Handler": "main.handler"}, {"Runtime": "python3.13"}, {"Layers": ["arn:aws:lambda:us-east-1:1:layer:l:1"]}],
)
def test_what_belongs_to_a_zip_file_is_refused(stack: FunctionStack, image: str, setting: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="Please don't provide Handler or Runtime or Layer") as failure:
        create(stack, "mixed", image, **setting)
    assert failure.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_another_architecture_is_refused(stack: FunctionStack, image: str) -> None:
    arguments = {"PackageType": "Image", "Role": stack.role, "Architectures": ["arm64"], "Code": {"ImageUri": image}}
    stack.functions.create_function(FunctionName="arm", **arguments)
    configuration = until(lambda: (found := stack.functions.get_function(FunctionName="arm")["Configuration"])["State"]
                          == "Failed" and found)  # fmt: skip
    assert "This machine cannot run arm64: set Architectures to ['x86_64']." in configuration["StateReason"]


def test_any_folder_of_the_machine_is_refused(stack: FunctionStack, tmp_path: Path) -> None:
    code = {"S3Bucket": "hot-reload", "S3Key": str(tmp_path)}
    program = {"Runtime": "python3.13", "Handler": "main.handler"}
    stack.functions.create_function(FunctionName="hot", Role=stack.role, Code=code, **program)
    configuration = until(lambda: (found := stack.functions.get_function(FunctionName="hot")["Configuration"])["State"]
                          != "Pending" and found)  # fmt: skip
    assert configuration["State"] == "Failed"
    assert "Hot reloading is not supported in containers: upload the code as a zip" in configuration["StateReason"]


def test_an_engine_that_is_gone(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path / "engine.sock")
    with stack_in_containers(tmp_path / "localstack", DOCKER_HOST=proxy.url) as stack:
        stack.functions = stack.localstack.client("lambda", config=Config(retries={"total_max_attempts": 1}))
        proxy.cut()
        with pytest.raises(ClientError, match="Docker cannot look up the image 'any:1'") as failure:
            create(stack, "gone", "any:1")
        proxy.mend()
    assert failure.value.response["Error"]["Code"] == "ServiceException"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    proxy.cut()


def test_a_version_keeps_its_image_when_the_tag_moves(stack: FunctionStack, images: Images) -> None:
    tag = images.build("old", "moving")
    create(stack, "versions", tag)
    stack.functions.publish_version(FunctionName="versions")
    images.build("new", "moving")
    assert stack.invoke("versions", {})[0]["version"] == "old"
    updated = stack.functions.update_function_code(FunctionName="versions", ImageUri=tag)
    assert updated["CodeSha256"] == images.digest(tag)
    stack.functions.get_waiter("function_updated_v2").wait(FunctionName="versions", WaiterConfig={"Delay": 1})
    assert stack.invoke("versions", {})[0]["version"] == "new"
    stack.functions.create_alias(FunctionName="versions", Name="live", FunctionVersion="1")
    assert stack.invoke("versions", {}, Qualifier="live")[0]["version"] == "old"
    with pytest.raises(ClientError, match="does not exist"):
        stack.functions.update_function_code(FunctionName="versions", ImageUri="stagemaker-test-nothing")
    with pytest.raises(ClientError, match="Please provide ImageUri"):
        stack.functions.update_function_code(FunctionName="versions", ZipFile=zipped(""))


def test_concurrency(stack: FunctionStack, image: str) -> None:
    create(stack, "concurrent", image, Publish=True)
    arguments = {"FunctionName": "concurrent", "Qualifier": "1"}
    stack.functions.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=2, **arguments)

    def status() -> str:
        return str(stack.functions.get_provisioned_concurrency_config(**arguments)["Status"])

    until(lambda: status() != "IN_PROGRESS")
    assert status() == "READY"
    provisioned = set(running(stack.network))
    assert stack.invoke("concurrent", {}, Qualifier="1")[0]["count"] == 1
    assert provisioned >= set(running(stack.network))  # none was started for it
    stack.functions.delete_provisioned_concurrency_config(**arguments)
    stack.functions.put_function_concurrency(FunctionName="concurrent", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="Rate Exceeded"):
        stack.functions.invoke(FunctionName="concurrent")
    stack.functions.delete_function(FunctionName="concurrent")


def test_a_timeout(stack: FunctionStack, image: str) -> None:
    create(stack, "slow", image, Timeout=1)
    before, _ = stack.invoke("slow", {})
    error, answer = stack.invoke("slow", {"sleep": True})
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert error["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert not stack.runs(before)
    assert stack.invoke("slow", {})[0]["count"] == 1


def test_more_memory_than_its_size(stack: FunctionStack, image: str) -> None:
    create(stack, "greedy", image, MemorySize=128)
    assert stack.invoke("greedy", {"memory": 40})[0]["count"] == 1
    error, answer = stack.invoke("greedy", {"memory": 400}, LogType="Tail")
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert error["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    report = base64.b64decode(answer["LogResult"]).decode().splitlines()[-1]
    assert "\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t" in report
    assert stack.invoke("greedy", {})[0]["count"] == 1


def test_it_writes_only_in_tmp(stack: FunctionStack, image: str) -> None:
    create(stack, "writes", image)
    assert stack.invoke("writes", {"write": "/tmp/mine"})[0]["count"] == 1
    for path in ("/var/task/mine", "/mine", "/usr/local/mine"):
        assert stack.invoke("writes", {"write": path})[0]["errorType"] in ("OSError", "PermissionError")
    stack.create("zip-writes", "import pathlib\ndef handler(e, c): pathlib.Path('/var/task/x').write_text('x')")
    assert stack.invoke("zip-writes", {})[0]["errorType"] in ("OSError", "PermissionError")


def test_it_reaches_aws_with_the_credentials_of_its_role(stack: FunctionStack, image: str) -> None:
    create(stack, "whoami", image)
    arn, buckets = stack.invoke("whoami", {"endpoint": True})[0]
    assert (arn, buckets) == ("arn:aws:sts::000000000000:assumed-role/doggy/whoami", [])


def test_a_function_gets_nothing_of_another(stack: FunctionStack, image: str) -> None:
    create(stack, "victim", image)
    create(stack, "thief", image)
    address = stack.invoke("victim", {})[0]["env"]["AWS_LAMBDA_RUNTIME_API"]
    assert stack.invoke("thief", {"ask": address})[0] == 403
    assert stack.invoke("victim", {})[0]["count"] == 2


def test_an_image_of_ecr(tmp_path: Path, images: Images) -> None:
    port = free_port()
    with running_service() as service:
        registry = {"STAGEMAKER_REGISTRY_URL": service.url, "STAGEMAKER_REGISTRY_PORT": str(port)}
        with stack_in_containers(tmp_path / "localstack", **registry) as stack:
            environment = RegistryStack(stack.localstack, service, port, tmp_path)
            environment.client("ecr").create_repository(repositoryName="dogs")
            name, built = f"localhost:{port}/dogs", images.build("pushed", "pushed")
            docker("tag", built, f"{name}:1")
            try:
                docker("push", f"{name}:1", config=environment.log_in())
                digest = docker("inspect", "--format", "{{index .RepoDigests 0}}", f"{name}:1").rpartition("@")[2]
            finally:
                docker("rmi", "--force", images.digest(built))  # what runs was pulled
            for function, uri in (
                ("by-tag", f"{name}:1"),
                ("by-digest", f"{name}@{digest}"),
                ("by-address", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/dogs:1"),
            ):
                create(stack, function, uri)
                assert stack.invoke(function, {})[0]["version"] == "pushed"
                configuration = stack.functions.get_function(FunctionName=function)
                assert configuration["Configuration"]["CodeSha256"] == digest.removeprefix("sha256:")
                assert configuration["Code"]["ResolvedImageUri"].endswith(f"/dogs@{digest}")
            with pytest.raises(ClientError, match="Provide a valid source image"):
                create(stack, "none", f"{name}:2")
        docker("rmi", "--force", f"{name}@{digest}")


def test_an_image_without_a_runtime_client(stack: FunctionStack) -> None:
    create(stack, "no-client", "python:3.13-slim", ImageConfig={"Command": ["python", "-c", "print('hello')"]})
    error, answer = stack.invoke("no-client", {})
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert error["errorMessage"].endswith("Runtime exited without providing a reason")


def test_an_image_whose_program_is_missing(stack: FunctionStack, image: str) -> None:
    create(stack, "no-program", image, ImageConfig={"EntryPoint": ["/nothing"]})
    error, answer = stack.invoke("no-program", {})
    assert (answer["FunctionError"], error["errorType"]) == ("Unhandled", "Runtime.InvalidEntrypoint")


def test_nothing_is_left_after_a_kill_and_the_next_start(tmp_path: Path, images: Images, image: str) -> None:
    with stack_in_containers(tmp_path / "one") as stack:
        create(stack, "warm", image)
        first, _ = stack.invoke("warm", {})
        stack.localstack.process.kill()
        stack.localstack.process.wait()
        assert stack.runs(first)  # the engine keeps it
        state = Engine(docker_url()).inspect(first["host"])["Config"]["Labels"]["com.stagemaker.state"]
        volumes = [mount["Name"] for mount in Engine(docker_url()).inspect(first["host"])["Mounts"]]
        assert len(volumes) == 1
        until(lambda: not Engine(docker_url()).inspect(first["host"])["State"]["Running"])  # else its network stays
    with stack_in_containers(tmp_path / "one"):
        assert Engine(docker_url()).containers(f"com.stagemaker.state={state}") == []
        left = images.client.volumes(filters={"name": volumes[0]})["Volumes"]
        assert not left
