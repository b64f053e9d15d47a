"""`ec2-train`: what is launched or followed, and what is said at the end."""

import io
import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra import engine, wait
from infra.blueprint import Blueprint, Image
from infra.data.dataset import load
from infra.data_bucket.settings import DataSettings
from infra.deployment import Deployment
from infra.ec2 import train
from infra.ec2.requests import run_of
from infra.ec2.settings import Ec2Settings
from infra.errors import StepFailed
from infra.network.requests import Vpc
from infra.network.settings import NetworkSettings
from infra.resource_policies import ResourcePolicy, data_bucket, data_key
from infra.resources import titles
from infra.resources.resource import Resource
from infra.settings import DeploymentSettings
from infra.terminal import Terminal
from tests.unit.infra.ec2.host_machine import INSTANCE
from tests.unit.infra.ec2.hosts import described, instance, result, s3
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing
from tests.unit.infra.photos import quiet, text_of, write_set

IMAGE = Image(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer@sha256:" + "ab" * 32, "its layers")
HOST = Ec2Settings(ami="amazon-linux-2023")
BLUEPRINT = Blueprint(DeploymentSettings(ec2=HOST), ACCOUNT, "ab" * 32, images={"trainer": IMAGE})
RUN = run_of(BLUEPRINT, HOST, IMAGE)
OPTIONS = Namespace(detach=False, image_tag=None, ssh_key=None)


class Account:
    """An account with these instances of the project, and with these objects in S3. One that is launched runs, and
    ends with the result `ends`."""

    def __init__(
        self, *there: dict[str, Any], objects: dict[str, bytes] | None = None, ends: str = "Completed"
    ) -> None:
        self.instances, self.objects, self.ends = list(there), dict(objects or {}), ends
        self.ec2 = FakeClient(
            {
                "describe_instances": self._describe,
                "run_instances": self._run,
                "terminate_instances": self._terminate,
                "describe_vpcs": {"Vpcs": [{"VpcId": "vpc-01234567"}]},
                "describe_subnets": {"Subnets": [{"SubnetId": "subnet-a", "AvailabilityZone": "us-east-1a"}]},
                "describe_instance_type_offerings": {"InstanceTypeOfferings": [{"Location": "us-east-1a"}]},
                "describe_images": {"Images": [{"BlockDeviceMappings": []}]},
                "describe_security_groups": {"SecurityGroups": []},
                "describe_vpc_endpoints": {"VpcEndpoints": []},
            }
        )
        ssm = FakeClient({"get_parameter": {"Parameter": {"Value": "ami-1"}}})
        sagemaker = FakeClient({"describe_training_job": missing()})
        self.clients = fake_clients(ec2=self.ec2, ssm=ssm, sagemaker=sagemaker, s3=s3(self.objects))

    def _describe(self, Filters: Sequence[Any] = (), InstanceIds: Sequence[str] = ()) -> dict[str, Any]:
        states = next((one["Values"] for one in Filters if one["Name"] == "instance-state-name"), None)
        found = [one for one in self.instances if states is None or one["State"]["Name"] in states]
        if InstanceIds and found[-1]["State"]["Name"] == "running":  # it is followed, and ends
            self.instances[-1] = instance("terminated")
            self.objects[f"{RUN.results}/{INSTANCE}/result.json"] = result(self.ends)
        return described(*(found[-1:] if InstanceIds else found))

    def _run(self, **_: Any) -> dict[str, Any]:
        self.instances.append(instance("running", run=RUN.name))
        return {"Instances": [{"InstanceId": INSTANCE}]}

    def _terminate(self, **_: Any) -> dict[str, Any]:
        self.instances[-1] = instance("terminated", run=RUN.name)
        return {}

    def launches(self) -> list[dict[str, Any]]:
        """The requests of RunInstances."""
        return [request for name, request in self.ec2.calls if name == "run_instances"]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "pause", lambda *_: None)


@pytest.fixture(autouse=True)
def applied(monkeypatch: pytest.MonkeyPatch) -> list[Resource]:
    """The resources that a launch made before it."""
    made = list[Resource]()
    monkeypatch.setattr(engine, "apply", lambda resources, _: made.extend(resources))
    return made


@pytest.fixture
def terminal() -> Terminal:
    return quiet()


def play(account: Account, terminal: Terminal, folder: Path, blueprint: Blueprint = BLUEPRINT, **options: Any) -> None:
    """The command."""
    deployment = Deployment(account.clients, blueprint, load(write_set(folder / "set")))
    train.run(deployment, Namespace(**{**vars(OPTIONS), **options}), terminal)


def test_a_host_is_launched_followed_and_its_outcome_shown(
    applied: list[Resource], terminal: Terminal, tmp_path: Path
) -> None:
    account = Account()
    play(account, terminal, tmp_path)
    assert [one.title for one in engine.order(applied)] == [
        "Bucket", "Data in S3", "Role of the EC2 host", "Instance profile of the EC2 host",
        "Security group of the EC2 host", "Launch template of the EC2 host",
    ]  # fmt: skip
    (launch,) = account.launches()
    assert launch["ClientToken"] == f"{RUN.name}-0-0"
    said = text_of(terminal)
    assert (
        f"--endpoint-url http://127.0.0.1:1 ec2 terminate-instances --region us-east-1 --instance-ids {INSTANCE}"
        in said
    )
    assert f"Run {RUN.name}: Completed" in said
    assert "ssm start-session" not in said, "the stage has no Session Manager"


@pytest.mark.parametrize(
    ("ends", "next_step"),
    [
        ("Failed", "Mend what the reason and the log above say"),
        ("Stopped", "Give it a longer limit_s"),
        ("Interrupted", "the next host goes on from the last checkpoint"),
    ],
)
def test_a_training_that_did_not_complete_says_what_to_do(
    ends: str, next_step: str, terminal: Terminal, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match=f"The run {RUN.name} ended as {ends}") as failed:
        play(Account(ends=ends), terminal, tmp_path)
    assert next_step in failed.value.next_step


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("not authorized to perform: s3:GetObject on resource: s3://photos/train/1.jpg", [data_bucket]),
        ("not authorized to perform: kms:Decrypt: s3://photos/train/1.jpg", [data_key]),
        ("The trainer ended with exit code 1.", []),
    ],
)
def test_a_host_that_is_refused_its_photos_has_the_missing_policy_told(
    why: str, told: list[Callable[[Blueprint], ResourcePolicy]], tmp_path: Path
) -> None:
    key = "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    data = DataSettings("photos", "210987654321", "", key)
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=data))
    results = f"{run_of(blueprint, HOST, IMAGE).results}/{INSTANCE}"
    account = Account(objects={f"{results}/result.json": result("Failed"), f"{results}/why": why.encode()})
    terminal = Terminal(Console(file=io.StringIO(), width=1000))
    with pytest.raises(StepFailed, match="ended as Failed"):
        play(account, terminal, tmp_path, blueprint)
    said = text_of(terminal)
    assert [name for name in (data_bucket, data_key) if json.dumps(name(blueprint).policy, indent=2) in said] == told


def test_what_was_completed_before_is_not_trained_again(terminal: Terminal, tmp_path: Path) -> None:
    account = Account(objects={f"{RUN.results}/result.json": result()})
    play(account, terminal, tmp_path)
    play(account, terminal, tmp_path, detach=True)
    assert account.launches() == []
    assert "was completed before" in text_of(terminal)


def test_a_run_that_is_under_way_is_followed(terminal: Terminal, tmp_path: Path) -> None:
    account = Account(instance("running", run=RUN.name))
    play(account, terminal, tmp_path)
    assert account.launches() == []
    assert f"The run {RUN.name} is under way." in text_of(terminal)


def test_another_run_of_the_project_is_not_disturbed(terminal: Terminal, tmp_path: Path) -> None:
    account = Account(instance("running", run="stagemaker-demo-other"))
    with pytest.raises(StepFailed, match="does another run, stagemaker-demo-other") as failed:
        play(account, terminal, tmp_path)
    assert f"--instance-ids {INSTANCE}" in failed.value.next_step
    assert not {"run_instances", "terminate_instances"} & set(account.ec2.names())


def test_a_host_that_was_stopped_is_terminated_and_another_is_launched(terminal: Terminal, tmp_path: Path) -> None:
    account = Account(instance("stopped", run=RUN.name))
    play(account, terminal, tmp_path)
    assert account.ec2.names().index("terminate_instances") < account.ec2.names().index("run_instances")
    assert f"The EC2 host {INSTANCE} was stopped" in text_of(terminal)
    assert account.launches()[0]["ClientToken"] == f"{RUN.name}-1-0", (
        "AWS launches nothing for a token that it has seen"
    )


def test_a_host_that_ends_is_waited_for_since_it_may_still_send_its_checkpoint(
    terminal: Terminal, tmp_path: Path
) -> None:
    account = Account(instance("shutting-down", run=RUN.name))
    play(account, terminal, tmp_path)
    assert account.ec2.names().index("terminate_instances") < account.ec2.names().index("run_instances")
    assert f"The EC2 host {INSTANCE} sends what it has, and ends." in text_of(terminal)


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        (
            {"i-2/host.log": b"", "i-2/result.json": result("Interrupted"), "i-2/why": b"taken", "checkpoints/a": b""},
            "The EC2 host i-2 ended as Interrupted: taken. Another one goes on from its checkpoint.",
        ),
        (
            {"i-2/host.log": b""},
            "The EC2 host i-2 ended without a result. Another one begins anew, since it left no checkpoint.",
        ),
    ],
)
def test_what_became_of_the_host_before_is_said(
    objects: dict[str, bytes], said: str, terminal: Terminal, tmp_path: Path
) -> None:
    there = {f"{RUN.results}/{name}": content for name, content in {"i-1/host.log": b"", **objects}.items()}
    account = Account(objects=there)
    play(account, terminal, tmp_path)
    assert said in text_of(terminal).replace("\n", " ")
    assert account.launches()[0]["ClientToken"] == f"{RUN.name}-2-0", "each of them was a try"


def test_a_detached_host_is_launched_and_not_followed(terminal: Terminal, tmp_path: Path) -> None:
    account = Account()
    play(account, terminal, tmp_path, detach=True)
    assert len(account.launches()) == 1
    assert account.instances[-1]["State"]["Name"] == "running"


def test_a_preset_without_a_host_and_a_type_that_no_zone_has(terminal: Terminal, tmp_path: Path) -> None:
    without = replace(BLUEPRINT, settings=DeploymentSettings())
    with pytest.raises(StepFailed, match="These settings have no EC2 host"):
        play(Account(), terminal, tmp_path, without)
    account = Account()
    account.ec2.answers["describe_instance_type_offerings"] = {"InstanceTypeOfferings": [{"Location": "us-east-1b"}]}
    with pytest.raises(StepFailed, match=r"No zone of us-east-1 with such a subnet has the type m5\.xlarge") as failed:
        play(account, terminal, tmp_path)
    assert failed.value.evidence == ("subnet-a in us-east-1a",)


def test_a_trainer_that_was_not_pushed_is_told_before_anything_is_made(
    applied: list[Resource], terminal: Terminal, tmp_path: Path
) -> None:
    lacking = replace(BLUEPRINT, images={"trainer": replace(IMAGE, is_there=False)})
    with pytest.raises(StepFailed, match="The registry lacks"):
        play(Account(), terminal, tmp_path, lacking)
    assert applied == []


@pytest.mark.parametrize("gateway_endpoint", [True, False])
def test_with_a_network_the_way_to_s3_is_made_before_the_host(
    gateway_endpoint: bool, applied: list[Resource], terminal: Terminal, tmp_path: Path
) -> None:
    settings = replace(BLUEPRINT.settings, network=NetworkSettings(gateway_endpoint=gateway_endpoint))
    vpc = Vpc("vpc-01234567", ("subnet-a",), ("rtb-01234567",))
    play(Account(), terminal, tmp_path, replace(BLUEPRINT, settings=settings, vpc=vpc), detach=True)
    assert (titles.S3_ENDPOINT in [one.title for one in applied]) == gateway_endpoint
    assert titles.JOBS_GROUP not in [one.title for one in applied], "a host has a group of its own"


def test_on_this_machine_ssh_is_opened_for_a_key_that_is_named_alone(
    applied: list[Resource], terminal: Terminal, tmp_path: Path
) -> None:
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, ec2=replace(HOST, ssh_from="own")))
    play(Account(), terminal, tmp_path, blueprint, detach=True)
    assert "No port is opened to ssh" in text_of(terminal)
    assert titles.KEY_PAIR not in [one.title for one in applied]
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me")
    play(Account(), terminal, tmp_path / "again", blueprint, detach=True, ssh_key=str(tmp_path / "id.pub"))
    assert titles.KEY_PAIR in [one.title for one in applied]
