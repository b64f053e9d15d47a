"""Notebook instances over the fake runtime, whose containers say what the boot program says, and answer /api."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagemaker.core.errors import ApiError
from stagemaker.core.store import MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.notebooks.lifecycle_configs import LifecycleConfigs
from stagemaker.notebooks.notebooks import NotebookInstances
from stagemaker.runtime.fake import FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeAws, FakeClock, FakeLogs
from tests.unit.plugin.polling import until

IMAGE = "stagemaker/notebook:test"


class Api(http.server.BaseHTTPRequestHandler):
    """As JupyterLab's /api."""

    def do_GET(self) -> None:
        self.send_response(200 if (self.path, self.headers["Host"]) == ("/api", "localhost") else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Notebooks:
    """All of it. A script is the word that says what becomes of it: `fine`, `fails`, `waits` (until it is ended)."""

    def __init__(self, folder: Path, image: str = IMAGE, limit_s: float = 300.0) -> None:
        self.folder, self.aws, self.logs, self.clock = folder / "work", FakeAws(), FakeLogs(), FakeClock()
        self.supervisor, self.store = Supervisor(), MemoryStore()
        self.runtime = FakeRuntime({"notebook": self.boot}, self.supervisor)
        self.ends = threading.Event()  # the program ends by itself
        self.configs = LifecycleConfigs(self.store, self.clock)
        self.notebooks = NotebookInstances(
            self.store, self.configs, self.runtime, self.aws, self.logs, self.clock, self.supervisor, self.folder,
            image, limit_s,
        )  # fmt: skip

    def boot(self, program: FakeProgram) -> int:
        *_, mark = (program.spec.entrypoint or ())[:5]
        hooks = (program.spec.entrypoint or ())[5:-2]
        for hook in hooks:
            program.say(f"{mark} begin {hook}")
            script = (program.path("/opt/ml/lifecycle") / hook).read_text()
            program.say(f"script {script}")
            while script == "waits":
                program.sleep(60)
            code = int(script == "fails")
            program.say(f"{mark} end {hook} {code}")
            if code:
                return code
        program.say(f"{mark} serve")
        program.say("JupyterLab")
        return self.serve(program)

    def serve(self, program: FakeProgram) -> int:
        assert program.address
        with http.server.HTTPServer(program.address, Api) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                while not self.ends.is_set():
                    program.sleep(0.02)
            finally:
                server.shutdown()
                thread.join()
        return 3

    def create(self, **members: Any) -> str:
        request = {"NotebookInstanceName": "lab", "InstanceType": "ml.t3.medium", "RoleArn": ROLE, **members}
        arn: str = self.notebooks.create_notebook_instance(SCOPE, request)["NotebookInstanceArn"]
        return arn

    def described(self) -> dict[str, Any]:
        return self.notebooks.describe_notebook_instance(SCOPE, {"NotebookInstanceName": "lab"})

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """One of the operations on the instance."""
        method: Callable[..., dict[str, Any]] = getattr(self.notebooks, operation)
        return method(SCOPE, {"NotebookInstanceName": "lab", **members})

    def become(self, status: str) -> dict[str, Any]:
        """Wait until the instance is in this status."""
        until(lambda: self.described()["NotebookInstanceStatus"] == status, f"the instance is {status}")
        return self.described()

    def is_gone(self) -> bool:
        try:
            self.described()
        except ApiError as error:
            return error.message == "RecordNotFound"
        return False


@contextmanager
def notebooks(folder: Path, image: str = IMAGE, limit_s: float = 300.0) -> Iterator[Notebooks]:
    made = Notebooks(folder, image, limit_s)
    try:
        yield made
    finally:
        made.supervisor.close()
        made.runtime.close()
