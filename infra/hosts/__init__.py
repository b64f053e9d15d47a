"""Where the stack runs: one interface (`infra.hosts.host`), and an object for each way."""

import os
import sys
from collections.abc import Mapping

from infra.errors import StepFailed
from infra.hosts.compose import ComposeHost
from infra.hosts.host import Host
from infra.paths import paths


def choose(*, docker: bool, environ: Mapping[str, str] = os.environ) -> Host:
    """Containers with `docker`, else plain processes. Raises StepFailed for processes where the system is not Linux."""
    if docker:
        return ComposeHost(paths(environ), environ)
    if sys.platform != "linux":
        raise StepFailed("Without Docker the stack runs on Linux only.", "Run it in containers: DOCKER=1 make demo")
    from infra.hosts.process import ProcessHost  # needs /proc and prctl

    return ProcessHost(paths(environ), environ)


def every_host() -> tuple[Host, ...]:
    """All that this system has, for commands that do not know where the stack runs."""
    return tuple(choose(docker=docker) for docker in (False, True) if docker or sys.platform == "linux")
