"""Notebook instances on a Docker runtime of their own, and an image without JupyterLab."""

import base64
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.session import get_session
from botocore.validate import ParamValidator
from docker.api import APIClient

from stagemaker.api.validation import violations
from stagemaker.core.store import MemoryStore
from stagemaker.notebooks.lifecycle_configs import LifecycleConfigs
from stagemaker.notebooks.notebooks import NotebookInstances
from tests.contract.docker_environment import LONG_S, DockerEnvironment, client
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeAws, FakeClock, FakeLogs

DOCKERFILE = """
FROM python:3.13-slim
RUN useradd --uid 1000 --create-home ec2-user && install -d -o ec2-user /home/ec2-user/SageMaker
COPY start-notebook /usr/local/bin/
USER ec2-user
"""
SERVER = """#!/usr/local/bin/python
import http.server, json, os, pathlib, pwd, signal
folder = pathlib.Path("/home/ec2-user/SageMaker")
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        status = pathlib.Path("/proc/self/status").read_text()
        told = {
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "capabilities": status.split("CapEff:")[1].split()[0],
            "folder": os.getcwd(),
            "owner": folder.owner(),
            "files": sorted(os.listdir(folder)),
            "home": sorted(os.listdir(folder.parent)),
            "environment": dict(os.environ),
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", int(os.environ["NOTEBOOK_PORT"])), Handler).serve_forever()
"""


@contextmanager
def built_notebook(engine: APIClient, folder: Path) -> Iterator[str]:
    """The image's name; it is gone afterwards."""
    name = f"stagemaker-test-{uuid.uuid4().hex[:8]}"
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "start-notebook").write_text(SERVER)
    (folder / "start-notebook").chmod(0o755)  # the engine's own builder takes no --chmod
    answers = engine.build(path=str(folder), tag=name, rm=True, decode=True, labels={"com.stagemaker": "1"})
    errors = [answer["error"] for answer in answers if "error" in answer]
    assert not errors
    try:
        yield name
    finally:
        engine.remove_image(name, force=True)


class DockerNotebooks:
    """`logs` is what was written."""

    def __init__(self, image: str, folder: Path, limit_s: float = 300.0) -> None:
        self.logs, self.engine = FakeLogs(), DockerEnvironment(image, folder)
        store, self.clock = MemoryStore(), FakeClock()
        self._configs = LifecycleConfigs(store, self.clock)
        self._notebooks = NotebookInstances(
            store, self._configs, self.engine.runtime, FakeAws(), self.logs, self.clock, self.engine.supervisor,
            folder / "notebooks", image, limit_s,
        )  # fmt: skip

    def configure(self, **scripts: str) -> None:
        hooks = {hook: [{"Content": base64.b64encode(text.encode()).decode()}] for hook, text in scripts.items()}
        self._configs.create(SCOPE, {"NotebookInstanceLifecycleConfigName": "setup", **hooks})

    def create(self, **members: Any) -> None:
        request = {"NotebookInstanceName": "lab", "InstanceType": "ml.t3.medium", "RoleArn": ROLE, **members}
        self.call("create_notebook_instance", request)

    def call(
        self, operation: str, request: Mapping[str, Any] = MappingProxyType({"NotebookInstanceName": "lab"})
    ) -> Any:
        """The answer, which keeps botocore's model."""
        answer = getattr(self._notebooks, operation)(SCOPE, request)
        name = "".join(word.capitalize() for word in operation.split("_"))
        shape = get_session().get_service_model("sagemaker").operation_model(name).output_shape
        if shape is None:
            assert answer == {}
        else:
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), report.generate_report()
            assert list(violations(shape, answer)) == []
        return answer

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("describe_notebook_instance")
        return found

    def become(self, status: str) -> dict[str, Any]:
        self.until(lambda: self.described()["NotebookInstanceStatus"] != "Pending", "the instance is not Pending")
        self.until(lambda: self.described()["NotebookInstanceStatus"] == status, f"it is {status}: {self.described()}")
        return self.described()

    def until(self, true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + LONG_S
        while not true():
            assert time.monotonic() < end, f"not within {LONG_S} s: {what}"
            time.sleep(0.05)

    def ports(self) -> list[dict[str, Any]]:
        """Those that the engine opens for our containers on the machine."""
        with closing(client()) as engine:
            found = engine.containers(filters={"network": self.engine.network}) or engine.containers()
        ours = [one for one in found if one["Image"].startswith(self.engine.image)]
        return [port for one in ours for port in one["Ports"]]


@contextmanager
def docker_notebooks(image: str, folder: Path, limit_s: float = 300.0) -> Iterator[DockerNotebooks]:
    """They are closed afterwards, and left no container and no network."""
    made = DockerNotebooks(image, folder, limit_s)
    try:
        yield made
    finally:
        made.engine.close()
    assert made.engine.left() == []
