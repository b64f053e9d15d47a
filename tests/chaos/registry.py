"""ECR on the stack, by the docker command: login and push, with a configuration of the suite's own."""

import base64
from tempfile import TemporaryDirectory

from tests.chaos.engine import Engine
from tests.chaos.stack import ContainerEnvironment
from tests.chaos.workload import NAME


def login(environment: ContainerEnvironment) -> str:
    """Log in; `Login Succeeded`, or why not, in one line."""
    with TemporaryDirectory() as folder:
        return _login(environment, folder)


def push(environment: ContainerEnvironment, image: str) -> str:
    """Push the image to the repository `chaos`; the name under which it was pushed. RuntimeError when that fails."""
    engine, name = environment.engine, f"localhost:{environment.registry_port}/{NAME}:pushed"
    engine.run("tag", image, name)
    try:
        with TemporaryDirectory() as folder:
            _login(environment, folder)
            engine.run("--config", folder, "push", "--quiet", name)
    finally:
        engine.run("image", "rm", name)
    return name


def _login(environment: ContainerEnvironment, folder: str) -> str:
    token = environment.clients.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    address = f"localhost:{environment.registry_port}"
    try:
        Engine().run("--config", folder, "login", "--username", user, "--password-stdin", address, given=password)
    except RuntimeError as error:
        return str(error).rpartition("Error response from daemon: ")[2]
    return "Login Succeeded"
