"""Where the stack runs: one interface (`infra.hosts.host`), and an object for each way."""

import os
from collections.abc import Mapping

from infra.hosts.compose import ComposeHost
from infra.hosts.host import Host
from infra.hosts.process import ProcessHost
from infra.paths import paths


def choose(*, docker: bool, environ: Mapping[str, str] = os.environ) -> Host:
    """Containers with `docker`, else plain processes."""
    return ComposeHost(paths(environ), environ) if docker else ProcessHost(paths(environ), environ)


def every_host() -> tuple[Host, ...]:
    """All of them, for commands that do not know where the stack runs."""
    return choose(docker=False), choose(docker=True)
