"""ECR as users meet it: a real LocalStack in front of a real registry service, and the docker command."""

import base64
import io
import os
import subprocess
import tarfile
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from benchmarks.ports import free_port
from tests.contract.gateway import REGION, until
from tests.contract.localstack_process import ROOT, LocalStack, running_localstack

LABEL = "com.stagemaker.test=registry"


def run(*arguments: str, config: Path | None = None, text: str = "") -> subprocess.CompletedProcess[str]:
    """A docker command; `config` is the folder of its logins."""
    environment = {**os.environ, **({"DOCKER_CONFIG": str(config)} if config else {})}
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=text, env=environment, check=False)


def docker(*arguments: str, config: Path | None = None) -> str:
    """What the command prints; it must succeed."""
    done = run(*arguments, config=config)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class Service:
    """registry:2 in a container on a loopback port; `container` is its network's name too."""

    container: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """As a crash does."""
        docker("kill", self.container)

    def start(self) -> None:
        """Again, until it answers."""
        docker("start", self.container)
        until(self._answers, bool)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def running_service() -> Iterator[Service]:
    """It, its network and its volume are gone at the end."""
    service = Service(f"stagemaker-test-registry-{uuid4().hex[:8]}", free_port())
    docker("network", "create", "--label", LABEL, service.container)
    try:
        docker(
            "create", "--name", service.container, "--network", service.container, "--label", LABEL,
            "--publish", f"127.0.0.1:{service.port}:5000",
            "--env", "REGISTRY_HTTP_RELATIVEURLS=true", "--env", "REGISTRY_STORAGE_DELETE_ENABLED=true", "registry:2",
        )  # fmt: skip
        service.start()
        yield service
    finally:
        run("rm", "--force", "--volumes", service.container)
        docker("network", "rm", service.container)


@dataclass
class RegistryStack:
    """`port` is the one of repositoryUri; `seen` every answer of ECR, by operation."""

    localstack: LocalStack
    service: Service
    port: int
    folder: Path
    seen: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    images: list[str] = field(default_factory=list)  # their ids

    def client(self, service: str, account: str = "000000000000") -> Any:
        """Without retries; ECR's answers are noted."""
        made = boto3.client(
            service, endpoint_url=self.localstack.endpoint, region_name=REGION, aws_access_key_id=account,
            aws_secret_access_key="test", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        made.meta.events.register("after-call.ecr", self._note)
        return made

    def password(self, ecr: Any = None) -> str:
        """As `aws ecr get-login-password` prints it, for the client or else for the root user."""
        data = (ecr or self.client("ecr")).get_authorization_token()["authorizationData"][0]
        assert data["proxyEndpoint"] == f"http://localhost:{self.port}"
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        assert user == "AWS"
        return password

    def log_in(self, account: str = "000000000000", ecr: Any = None) -> Path:
        """`docker login` with the account's token, or that of a client of ECR; the folder of its settings."""
        config = self.folder / f"docker-{account if ecr is None else uuid4().hex}"
        host, password = f"localhost:{self.port}", self.password(ecr or self.client("ecr", account))
        done = run("login", "--username", "AWS", "--password-stdin", host, config=config, text=password)
        assert done.returncode == 0, done.stderr
        return config

    def image(self, repository: str, tag: str, content: bytes) -> str:
        """An image of one file; its name in our registry. It is removed when the tests end."""
        return self.made_image(f"localhost:{self.port}/{repository}:{tag}", content)

    def made_image(self, name: str, content: bytes, change: str = 'CMD ["/file"]') -> str:
        """An image of that name, with a line of a Dockerfile."""
        archive = self.folder / "image.tar"
        with tarfile.open(archive, "w") as tar:
            member = tarfile.TarInfo("file")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        self.images.append(docker("import", "--change", change, str(archive), name))
        return name

    def push(self, *arguments: str, endpoint: str = "") -> tuple[int, str]:
        """`python -m infra push`, as `make push` runs it; its exit code and all that it says. `endpoint`: of AWS's
        interface, if it is not LocalStack's own."""
        endpoint = endpoint or self.localstack.endpoint
        environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint, "TMPDIR": str(self.temporary)}
        python = str(ROOT / ".stagemaker/env/client/bin/python")
        done = subprocess.run(
            [python, "-m", "infra", "push", "--region", REGION, *arguments],
            cwd=ROOT,
            env={**environment, "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def temporary(self) -> Path:
        """A folder for what `push` leaves behind: nothing."""
        folder = self.folder / "temporary"
        folder.mkdir(exist_ok=True)
        return folder

    def _note(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            members = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
            self.seen[model.name].append((model.output_shape, members))


@contextmanager
def registry_stack(folder: Path) -> Iterator[RegistryStack]:
    """LocalStack with the Docker runtime on this machine, which enforces IAM, the service, and nothing left of them."""
    with running_service() as service:
        port = free_port()
        settings = {
            "STAGEMAKER_RUNTIME": "docker",
            "STAGEMAKER_NETWORK": service.container,
            "STAGEMAKER_REGISTRY_URL": service.url,
            "STAGEMAKER_REGISTRY_PORT": str(port),
            "STAGEMAKER_IAM": "strict",
        }
        with running_localstack(folder / "localstack", **settings) as localstack:
            stack = RegistryStack(localstack, service, port, folder)
            try:
                yield stack
            finally:
                if stack.images:
                    run("image", "rm", "--force", *stack.images)
    assert localstack.process.returncode == 0
