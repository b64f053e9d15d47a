"""The docker command against one engine: the one that runs the stack, or the suite's own second one."""

import os
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """`address` is what DOCKER_HOST must be; empty: the one that the command chooses."""

    address: str = ""

    def run(self, *arguments: str, limit_s: float = 120, given: str | None = None) -> str:
        """What the command prints. `given` is its input. RuntimeError when it fails, or does not end in `limit_s`."""
        try:
            done = subprocess.run(
                ["docker", *arguments],
                env=self.variables,
                input=given,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"docker {arguments[0]} did not end within {limit_s:.0f} s") from None
        if done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    @property
    def variables(self) -> dict[str, str]:
        """The environment of commands that use this engine."""
        return {**os.environ, **({"DOCKER_HOST": self.address} if self.address else {})}

    def containers(self, network: str, name: str, *, ended: bool = False) -> list[str]:
        """The ids of the containers that the stack of this network has started, and whose names contain `name`."""
        every = ("--all",) if ended else ()
        filters = ("--filter", f"label=com.stagemaker.network={network}", "--filter", f"name={name}")
        return sorted(self.run("ps", *every, "--quiet", "--no-trunc", *filters).split())

    def networks(self, container: str) -> list[str]:
        """The names of the networks that the container is on."""
        every = "{{range $name, $_ := .NetworkSettings.Networks}}{{println $name}}{{end}}"
        return self.run("inspect", "--format", every, container).split()

    def made(self, network: str) -> list[str]:
        """Every container, network and volume that the stack of this network has made, each with its name and id."""
        label = ("--filter", f"label=com.stagemaker.network={network}")
        found = []
        for kind, name in (
            ("container", "{{.Names}} {{.ID}}"),
            ("network", "{{.Name}} {{.ID}}"),
            ("volume", "{{.Name}}"),
        ):
            every = ("--all",) if kind == "container" else ()
            lines = self.run(kind, "ls", *every, "--format", name, *label).splitlines()
            found += [f"{kind} {line}" for line in lines]
        return found

    def build(self, image: str, folder: str) -> None:
        """Build the image from the folder's Dockerfile."""
        self.run("build", "--quiet", "--tag", image, folder, limit_s=300)
