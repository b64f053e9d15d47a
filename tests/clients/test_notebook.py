"""The notebook from top to bottom, and its clean-up after a cell that failed: `make test-notebook` installs what it
needs."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import roles
from infra.blueprint import Blueprint
from infra.notebook.names import kernel_environment
from infra.roles import POLICY_NAME, Role
from infra.settings import DeploymentSettings
from tests.clients.notebook_stack import running
from tests.clients.page import python
from tests.contract.localstack_process import ROOT, LocalStack

NOTEBOOK = ROOT / "notebooks" / "train_and_deploy.ipynb"
LIMIT_S = 1500
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
SMALL = {"EPOCHS": "1", "TUNING_JOBS": "2", "TARGET": "2"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running(tmp_path_factory.mktemp("notebook") / "stack") as started:
        yield started


def run(stack: LocalStack, folder: Path, *options: str, **variables: str) -> tuple[int, list[str]]:
    """The exit code, and what each cell of code printed. The variables are set, as on a notebook instance."""
    command = [python("notebook"), str(ROOT / "tests" / "clients" / "run_notebook.py"), str(NOTEBOOK), *options]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "AWS_ENDPOINT_URL": stack.endpoint,
    }
    done = subprocess.run(
        command,
        env=environment | KEYS | SMALL | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    cells = re.split(r"^--- cell \d+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert cells, done.stderr[-3000:]
    return done.returncode, cells


def session_of(stack: LocalStack, role: Role) -> dict[str, str]:
    """The variables of a session of the role, which a user opens here."""
    iam = stack.client("iam")
    user = iam.create_user(UserName="opener")["User"]["Arn"]
    keys = iam.create_access_key(UserName="opener")["AccessKey"]
    trust = role.trust
    trust["Statement"] += [{"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}]
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=role.name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(role.policy))
    opener = boto3.client(
        "sts", endpoint_url=stack.endpoint, region_name="us-east-1", aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )  # fmt: skip
    made = opener.assume_role(RoleArn=f"arn:aws:iam::000000000000:role/{role.name}", RoleSessionName="notebook")
    return {
        "AWS_ACCESS_KEY_ID": made["Credentials"]["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["Credentials"]["SecretAccessKey"],
        "AWS_SESSION_TOKEN": made["Credentials"]["SessionToken"],
    }


def left(stack: LocalStack) -> dict[str, list[Any]]:
    """What the notebook could have left behind that costs something."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        return boto3.client(service, endpoint_url=stack.endpoint, **keys)

    sagemaker = client("sagemaker")
    return {
        "endpoints": sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"],
        "configurations": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "models": sagemaker.list_models()["Models"],
        "targets": client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ],
        "buckets": client("s3").list_buckets()["Buckets"],
        "roles": client("iam").list_roles()["Roles"],
    }


def test_it_runs_from_top_to_bottom_and_leaves_nothing(stack: LocalStack, tmp_path: Path) -> None:
    code, cells = run(stack, tmp_path)
    assert code == 0, cells
    printed = "\n".join(cells)
    assert "1797 of 1797 photos" in printed
    assert "best hyperparameters: {'learning-rate': " in printed
    assert "multi: notebook-multi-" in printed
    assert "2 instances are not to be had here" in printed  # processes have no network of their own
    for name in ("single", "multi"):
        right, shown = map(int, re.findall(rf"^{name}: (\d) of (\d) are right$", printed, re.MULTILINE)[0])
        assert (right >= 3, shown) == (True, 8)  # of ten classes, after one epoch
    assert re.search(r"^after \d+ s: 2 instances$", printed, re.MULTILINE)
    assert "Successful Setting desired instance count to 2." in printed
    assert printed.count("image/png") == 4
    assert not any(left(stack).values())


def test_it_cleans_up_after_a_cell_that_failed(stack: LocalStack, tmp_path: Path) -> None:
    code, cells = run(stack, tmp_path, "--break", "4")
    assert code != 0
    assert "broken by the test" in cells[4]
    assert left(stack)["buckets"]
    code, cells = run(stack, tmp_path, "--ends-only")
    assert code == 0, cells
    assert not any(left(stack).values())


def test_the_role_of_a_notebook_instance_is_enough_for_it(stack: LocalStack, tmp_path: Path) -> None:
    blueprint = Blueprint(DeploymentSettings(project="dogs"), "000000000000", data_digest="")
    keys = session_of(stack, roles.notebook(blueprint))
    code, cells = run(stack, tmp_path, **keys, **kernel_environment(blueprint))
    assert code == 0, cells
    assert "Successful Setting desired instance count to 2." in "\n".join(cells)
    found = left(stack)
    assert [role["RoleName"] for role in found.pop("roles")] == [blueprint.role("notebook")]
    assert not any(found.values())
