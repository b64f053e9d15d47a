"""One start of a notebook instance: its container, from the lifecycle scripts to the end of JupyterLab."""

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing

from stagemaker.notebooks.boot import LIMIT_S, BootLog
from stagemaker.runtime.contract import Container, ContainerSpec, Exit, Runtime

POLL_S = 0.2
GRACE_S = 10.0  # (ours) for JupyterLab to end its kernels
ANSWER_S = 300.0  # (ours) for JupyterLab to answer, after the scripts
PROBE_S = 2.0


class ServerFailed(Exception):
    """The instance cannot serve, or does not any more; the message is its FailureReason."""


class NotebookServer:
    """`key` signs the addresses that open it. A thread of its own calls `run`; all else may be called from any thread.

    `describe_hook` gives a script the words that a FailureReason begins with. `elapsed` are seconds that pass evenly,
    and `limit_s` how many of them a script may run."""

    def __init__(
        self,
        key: str,
        boot: BootLog,
        describe_hook: Callable[[str], str],
        limit_s: float = LIMIT_S,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self.address: tuple[str, int] | None = None  # of this machine's loopback, while it serves
        self._boot, self._describe_hook = boot, describe_hook
        self._limit_s, self._elapsed = limit_s, elapsed
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have `run` end."""
        self._stopped.set()

    def run(self, runtime: Runtime, spec: ContainerSpec, on_service: Callable[[], None]) -> None:
        """Run the container until `stop`; `on_service` is called once, when JupyterLab answers. Nothing is left of the
        container when this returns. ServerFailed when it ends by itself, a script fails or takes too long, or
        JupyterLab does not answer. ApiError when the container cannot be started."""
        container = runtime.start(spec, self._boot.line)
        try:
            self._await_service(container)
            if not self._stopped.is_set():
                self.address = container.published
                on_service()
            while not self._stopped.wait(POLL_S):
                self._check_end(container)
        finally:
            self.address = None
            container.stop(GRACE_S if self._boot.serving else 0)

    def _await_service(self, container: Container) -> None:
        due_s: float | None = None
        while not self._stopped.wait(POLL_S):
            self._check_end(container)
            if hook := self._boot.overdue(self._limit_s):
                raise ServerFailed(f"{self._describe_hook(hook)} took longer than {LIMIT_S // 60} minutes.")
            if not self._boot.serving:
                continue
            if _answers(container.address):
                return
            due_s = due_s or self._elapsed() + ANSWER_S
            if self._elapsed() > due_s:
                raise ServerFailed(f"JupyterLab did not answer within {ANSWER_S:.0f} s.")

    def _check_end(self, container: Container) -> None:
        end = container.poll()
        if end is None:
            return
        if self._boot.failed:
            hook, code = self._boot.failed
            raise ServerFailed(f"{self._describe_hook(hook)} failed with exit code {code}.")
        raise ServerFailed(_ending(end))


def _ending(end: Exit) -> str:
    reason = f" {end.reason.rstrip('.')}." if end.reason else ""
    return f"The notebook's container ended with exit code {end.code}.{reason}"


def _answers(address: tuple[str, int] | None) -> bool:
    """Whether JupyterLab is there: its /api says its version to anybody. By the name localhost, the only one that it
    lets in."""
    if address is None:
        return False
    with closing(http.client.HTTPConnection(*address, timeout=PROBE_S)) as connection:
        try:
            connection.request("GET", "/api", headers={"Host": "localhost"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
