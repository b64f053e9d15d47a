"""`python -m infra ec2-train` as a user's shell runs it, with hosts that are containers of the real engine: each pulls
a small image from the stage's ECR, trains in it, leaves what came of it in S3, and ends itself."""

import json
import signal
from collections.abc import Iterator

import pytest

from tests.commands import ended
from tests.contract.ec2_training import LIMIT_S, Ec2Training, ec2_training
from tests.contract.gateway import until
from tests.interruptions import interrupt

SPOT = 'market = "spot"'
ZONE = "us-east-1a"  # which has every type; left out it would be any, and us-east-1e lacks m5.xlarge


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Training]:
    with ec2_training(tmp_path_factory.mktemp("ec2-train")) as made:
        yield made


def test_a_host_trains_leaves_its_model_in_s3_and_ends_itself(training: Ec2Training) -> None:
    preset = training.preset("whole")
    code, said = training.run("ec2-train", preset)
    assert code == 0, said
    (instance,) = training.instances("whole")
    assert instance["State"]["Name"] in ("shutting-down", "terminated")
    assert "validation:accuracy" in said
    assert "0.9000" in said
    (run,) = training.runs("whole")
    keys = training.keys("whole", run)
    assert {"output/model.tar.gz", "result.json", f"{instance['InstanceId']}/host.log"} <= keys
    assert training.model("whole", run) == b"weights of 2 channels"
    code, said = training.run("ec2-train", preset)
    assert code == 0, said
    assert "was completed before" in said
    assert len(training.instances("whole")) == 1
    code, said = training.run("plan", preset, "--destroy")
    for what in ("launch template", "instance profile", "security group", "role of the ec2 host"):
        assert what in said.lower(), said
    code, said = training.run("destroy", preset)
    assert code == 0, said
    assert "0 to delete" not in said
    assert training.left("whole") == []


def test_a_program_that_fails_ends_the_host_and_leaves_its_log(training: Ec2Training) -> None:
    code, said = training.run("ec2-train", training.preset("failing"), "--set", "mode=fail")
    assert code == 1, said
    assert "ended as Failed: no photos here" in said
    training.is_over("failing")
    (run,) = training.runs("failing")
    assert any(key.endswith("/host.log") for key in training.keys("failing", run))


def test_a_training_that_is_out_of_time_leaves_its_model_and_its_checkpoint(training: Ec2Training) -> None:
    code, said = training.run("ec2-train", training.preset("late", "limit_s = 2"), "--set", "mode=long")
    assert code == 1, said
    assert "ended as Stopped: The training did not end within 2 s." in said
    training.is_over("late")
    (run,) = training.runs("late")
    assert {"output/model.tar.gz", "checkpoints/last"} <= training.keys("late", run)


def test_a_spot_notice_saves_the_checkpoint_and_another_host_goes_on_from_it(training: Ec2Training) -> None:
    preset, long = training.preset("spot", SPOT), ("--set", "mode=long")
    follower = training.start("ec2-train", preset, *long)
    (run,) = until(lambda: training.runs("spot"), bool)
    until(lambda: training.keys("spot", run), lambda keys: "checkpoints/last" in keys)
    follower.send_signal(signal.SIGINT)
    code, said = ended(follower, LIMIT_S)
    assert code == 130, said
    assert "The host goes on and ends itself" in said
    code, said = training.run("ec2-train", preset, "--set", "mode=other")
    assert code == 1, said
    assert "does another run" in said
    follower = training.start("ec2-train", preset, *long)
    (instance,) = training.instances("spot")
    body = json.dumps({"InstanceId": instance["InstanceId"]}).encode()
    assert interrupt(training.stack.localstack.endpoint, body, "ec2")[0] == 202
    code, said = ended(follower, LIMIT_S)
    assert code == 1, said
    assert "is under way" in said
    assert "ended as Interrupted" in said
    training.is_over("spot")
    code, said = training.run("ec2-train", preset, *long)
    assert code == 0, said
    assert training.model("spot", run) == b"resumed from 1"
    assert len(training.instances("spot")) == 2


def test_a_host_that_is_terminated_while_it_uploads_leaves_a_whole_checkpoint_and_another_goes_on_from_it(
    training: Ec2Training,
) -> None:
    preset, large = training.preset("ended"), ("--set", "mode=large")
    follower = training.start("ec2-train", preset, *large)
    (run,) = until(lambda: training.runs("ended"), bool)
    until(lambda: training.is_uploading("ended"), bool)
    (instance,) = training.instances("ended")
    training.stack.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    code, said = ended(follower, LIMIT_S)
    assert code == 1, said
    assert "ended as Interrupted: It was interrupted: somebody ended the host" in said
    (number,) = set(training.read("ended", run, "checkpoints/last").split())
    assert len(training.read("ended", run, "checkpoints/last")) == 64 << 20
    code, said = training.run("ec2-train", preset, *large)
    assert code == 0, said
    assert f"{instance['InstanceId']} ended as Interrupted" in said
    assert "Another one goes on from its checkpoint." in said
    assert training.model("ended", run) == b"resumed from " + number


def test_a_host_that_somebody_stops_leaves_its_result_and_its_checkpoint(training: Ec2Training) -> None:
    code, said = training.run("ec2-train", training.preset("stopped"), "--set", "mode=long", "--detach")
    assert code == 0, said
    (run,) = until(lambda: training.runs("stopped"), bool)
    until(lambda: training.keys("stopped", run), lambda keys: "checkpoints/last" in keys)
    (instance,) = training.instances("stopped")
    training.stack.ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    training.stack.wait(instance["InstanceId"], "stopped")
    assert json.loads(training.read("stopped", run, f"{instance['InstanceId']}/result.json"))["status"] == "Interrupted"
    assert training.read("stopped", run, f"{instance['InstanceId']}/why").endswith(b"somebody ended the host")


def test_with_a_network_the_host_stands_in_its_private_subnet_with_a_closed_group(training: Ec2Training) -> None:
    ec2 = training.stack.ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    private, _ = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
        for n in (1, 2)
    )
    ec2.create_tags(Resources=[private], Tags=[{"Key": "tier", "Value": "private"}])
    preset = training.preset("placed", SPOT, "[network]", f'vpc = "{vpc}"', 'subnet_tag = "tier=private"')
    code, said = training.run("ec2-train", preset, "--detach")
    assert code == 0, said
    (instance,) = training.instances("placed")
    assert (instance["VpcId"], instance["SubnetId"]) == (vpc, private)
    groups = [one["GroupId"] for one in instance["SecurityGroups"]]
    (group,) = ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
    assert (group["GroupName"], group["VpcId"], group["IpPermissions"]) == ("placed-host", vpc, [])
    code, said = training.run("destroy", preset)
    assert code == 0, said
    assert training.left("placed") == []
    assert ec2.describe_subnets(SubnetIds=[private])["Subnets"], "the account's own stays"
