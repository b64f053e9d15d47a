"""The host of an EC2 instance as a container of the engine, which stays when the host is stopped."""

import threading
from collections.abc import Callable

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.container import DockerContainer
from stagemaker.runtime.docker.engine import Engine, EngineError


class DockerEc2Host:
    """The container `engine_id`, which does not run yet. `remove` removes it and all that was made for it, once."""

    def __init__(
        self,
        spec: ContainerSpec,
        engine: Engine,
        engine_id: str,
        *,
        hardware: str,
        remove: Callable[[], None],
        supervisor: Supervisor,
    ) -> None:
        self.spec = spec
        self._engine, self._id, self._hardware = engine, engine_id, hardware
        self._remove, self._supervisor = remove, supervisor
        self._removing, self._is_removed = threading.Lock(), False

    def boot(self, on_line: Callable[[str], None]) -> DockerContainer:
        """Start it."""
        try:
            output = self._engine.attach(self._id)
            self._engine.start(self._id)
        except EngineError as error:
            raise ApiError("InternalFailure", f"Docker cannot start the host: {error}.", 500) from error
        return DockerContainer(
            self.spec, self._engine, self._id, ip="", address=None, hardware=self._hardware,
            output=output, on_line=on_line, on_end=output.close, supervisor=self._supervisor,
        )  # fmt: skip

    def reboot(self) -> None:
        """Have it boot anew."""
        self._signal("SIGRTMIN+5", "reboot")

    def shut_down(self) -> None:
        """Have it shut down."""
        self._signal("SIGRTMIN+4", "shut down")

    def kill(self) -> None:
        """Remove it, once: who comes while another does it waits for that."""
        with self._removing:
            if not self._is_removed:
                self._remove()
            self._is_removed = True

    def _signal(self, signal: str, doing: str) -> None:
        """Tell its first process, where it runs: those of systemd."""
        try:
            self._engine.kill(self._id, signal)
        except EngineError as error:
            if error.status not in (404, 409):
                raise ApiError("InternalFailure", f"Docker cannot {doing} the host: {error}.", 500) from error
