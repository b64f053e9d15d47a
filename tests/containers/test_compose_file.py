"""docker-compose.yml as compose reads it. Nothing is started."""

import json
import os
import subprocess
from typing import Any

from infra.paths import CHECKOUT

IMAGES = {"trainer", "serve", "serve-gpu", "lambda", "ec2-host", "notebook"}


def config(*options: str, **variables: str) -> dict[str, Any]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["docker", "compose", *options, "config", "--format", "json"]
    done = subprocess.run(command, cwd=CHECKOUT, env=kept | variables, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_up_runs_localstack_and_its_registry_on_loopback_only() -> None:
    services = config()["services"]
    assert set(services) == {"localstack", "registry", "sweeper"}
    ports = services["localstack"]["ports"]
    assert [(port["host_ip"], port["published"], port["target"]) for port in ports] == [
        ("127.0.0.1", "4566", 4566),
        ("127.0.0.1", "5000", 5000),
    ]
    assert not [name for name in ("registry", "sweeper") if "ports" in services[name]]
    assert services["sweeper"]["network_mode"] == "none"
    assert {service["restart"] for service in services.values()} == {"no"}


def test_the_registry_is_only_on_an_internal_network_with_localstack() -> None:
    found = config()
    assert set(found["services"]["registry"]["networks"]) == {"registry"}
    assert found["networks"]["registry"]["internal"] is True
    assert not found["networks"]["stagemaker"].get("internal")
    joined = found["services"]["localstack"]["networks"]
    assert set(joined) == {"registry", "stagemaker"}
    assert joined["stagemaker"]["priority"] == 1000, "the network of the published ports and of the default route"


def test_a_second_stack_shares_no_name_and_no_port() -> None:
    found = config(STAGEMAKER_PROJECT="other", PORT="4600", REGISTRY_PORT="5600")
    localstack = found["services"]["localstack"]
    assert found["name"] == "other"
    assert {network["name"] for network in found["networks"].values()} == {"other", "other-registry"}
    assert {volume["name"] for volume in found["volumes"].values()} == {"other-state", "other-registry"}
    assert localstack["environment"]["STAGEMAKER_NETWORK"] == "other"
    assert [port["published"] for port in localstack["ports"]] == ["4600", "5600"]
    assert localstack["environment"]["STAGEMAKER_REGISTRY_PORT"] == str(localstack["ports"][1]["target"])


def test_everything_that_compose_makes_is_labelled() -> None:
    found = config()
    made = (*found["networks"].values(), *found["volumes"].values(), found["services"]["registry"])
    assert [one["labels"]["com.stagemaker"] for one in (*made, found["services"]["sweeper"])] == ["1"] * 6


def test_the_images_are_only_built_and_only_the_override_requires_a_gpu() -> None:
    plain = config("--profile", "images")["services"]
    assert set(plain) == {"localstack", "registry", "sweeper"} | IMAGES
    assert all(plain[name]["image"] == f"stagemaker/{name}:latest" for name in IMAGES)
    assert "nvidia" not in json.dumps(plain)
    files = ("--file", "docker-compose.yml", "--file", "compose.gpu.yaml", "--profile", "images")
    gpu = config(*files)["services"]
    assert {name for name in gpu if "nvidia" in json.dumps(gpu[name])} == {"trainer", "serve-gpu"}
    assert gpu["localstack"]["environment"]["STAGEMAKER_GPU"] == "require"


def test_the_notebook_runs_on_loopback_without_rights_socket_or_token_of_ours() -> None:
    services = config("--profile", "notebook")["services"]
    assert set(services) == {"localstack", "registry", "sweeper", "notebook"}
    notebook = services["notebook"]
    assert [(port["host_ip"], port["published"]) for port in notebook["ports"]] == [("127.0.0.1", "8888")]
    assert (notebook["cap_drop"], notebook["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert [mount["type"] for mount in notebook["volumes"]] == ["volume"]
    assert set(notebook["networks"]) == {"stagemaker"}
    assert not [name for name in notebook["environment"] if "TOKEN" in name]
