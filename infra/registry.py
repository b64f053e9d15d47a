"""Sends an image to a registry of ECR by `docker push`, for as long as it takes.

ECR's password lasts 12 hours, and Docker takes it once for a whole push: a slow push can outlive it. So a push that
fails, for whatever reason, is tried again with a new password. What the registry has is not sent again.
"""

import base64
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from infra import docker
from infra.errors import StepFailed
from infra.typed import with_settings
from infra.wait import pause

WAITS_S = (1.0, 2.0, 4.0)  # (ours) before each further attempt
_ASK_REGISTRY = with_settings("docker compose ps registry", "STAGEMAKER_PROJECT")
_LOGIN_LIMIT_S = 60.0


def send(ecr: Any, remote: str, say: Callable[[str], None]) -> None:
    """Push the image that this machine has under the name `remote`; a new attempt is announced. Raises StepFailed when
    the last attempt fails, and boto3's errors when there is no password to be had."""
    for wait_s in (*WAITS_S, None):
        try:
            with logged_in(ecr) as environment:
                return _push(remote, environment)
        except StepFailed as failure:
            if wait_s is None:
                raise
            say(f"{failure.reason} It is tried again in {wait_s:g} s, with a new password.")
            pause(wait_s, "the registry")


@contextmanager
def logged_in(ecr: Any) -> Iterator[dict[str, str]]:
    """The environment in which `docker` may push; the password lies in a folder that is gone at the end, and the
    user's own settings are not touched. StepFailed when the registry does not take it."""
    data = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    docker_host = docker.address()  # another settings folder would hide which engine the user has chosen
    with tempfile.TemporaryDirectory(prefix="stagemaker-login-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
        environment |= {"DOCKER_CONFIG": folder, "DOCKER_HOST": docker_host}
        command = ["docker", "login", "--username", user, "--password-stdin", data["proxyEndpoint"]]
        try:
            done = subprocess.run(
                command, input=password, env=environment, capture_output=True, text=True, timeout=_LOGIN_LIMIT_S,
                check=False,
            )  # fmt: skip
            said = tuple(done.stderr.strip().splitlines()[-3:])
        except subprocess.TimeoutExpired:
            done, said = None, ()
        if done is None or done.returncode:
            raise StepFailed(
                f"The registry at {data['proxyEndpoint']} does not let us in, or does not answer.",
                f"See whether it runs (`{_ASK_REGISTRY}`; on AWS: your network), and run this again.",
                said,
            )
        yield environment


def _push(remote: str, environment: Mapping[str, str]) -> None:
    if subprocess.run(["docker", "push", remote], env=environment, check=False).returncode:
        raise StepFailed(
            f"{remote} was not pushed.",
            f"Read what docker says above. If the registry stopped (`{_ASK_REGISTRY}`), start it, and run this again: "
            "what was sent is not sent again.",
        )
