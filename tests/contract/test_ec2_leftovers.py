"""Whatever its instances are doing when the stage ends, or is killed, nothing of their hosts is left."""

import signal
from pathlib import Path

from tests.contract.docker_stage import stage_on
from tests.contract.ec2_stack import Ec2Stack
from tests.contract.function_containers import network, running
from tests.contract.localstack_process import STOP_TIMEOUT_S, LocalStack
from tests.contract.registry_stack import docker

DEAF = "#!/bin/bash\ntrap '' TERM\necho deaf\nsleep 1000\n"  # shuts down after 60 s alone


def test_no_host_is_left_of_a_stage_that_is_killed_or_ends(tmp_path: Path) -> None:
    with network() as (name, gateway):
        with stage_on(name, gateway, tmp_path) as killed:
            _in_every_state(Ec2Stack(killed, name, gateway))
            killed.process.kill()
            killed.process.wait(STOP_TIMEOUT_S)
            assert len(running(name)) >= 3, "nobody is there to remove them"
        with stage_on(name, gateway, tmp_path) as ended:
            assert running(name) == []
            _in_every_state(Ec2Stack(ended, name, gateway))
            ended.process.send_signal(signal.SIGTERM)
            ended.process.wait(STOP_TIMEOUT_S)
            assert _left(name) == []
            assert "not ended in time" not in _log(ended)


def _in_every_state(stack: Ec2Stack) -> None:
    """Instances that are running, stopping, shutting-down, and pending, which do not end by themselves."""
    stopping, ending, _ = made = [stack.run(DEAF) for _ in range(3)]
    for each in made:
        stack.says(each, "deaf")
    stack.ec2.stop_instances(InstanceIds=[stopping])
    stack.ec2.terminate_instances(InstanceIds=[ending])
    for each in stopping, ending:
        stack.says(each, "powers down")
    assert [stack.state(each) for each in made] == ["stopping", "shutting-down", "running"]
    stack.run(DEAF)


def _left(network: str) -> list[str]:
    """The containers, networks and volumes that a stage has made."""
    label = f"label=com.stagemaker.network={network}"
    kinds = {"container": ("--all",), "network": (), "volume": ()}
    found = (docker(kind, "ls", "--quiet", "--filter", label, *more) for kind, more in kinds.items())
    return " ".join(found).split()


def _log(localstack: LocalStack) -> str:
    return (localstack.folder / "log.txt").read_text()
