"""Whatever its instances are doing when the stage ends, or is killed, nothing of their hosts is left."""

import signal
from pathlib import Path

from tests.contract.docker_environment import LONG_S
from tests.contract.docker_stage import stage_on
from tests.contract.ec2_stack import Ec2Stack
from tests.contract.function_containers import network, running
from tests.contract.localstack_process import LocalStack
from tests.contract.registry_stack import docker

DEAF = "#!/bin/bash\ntrap '' TERM\necho deaf\nsleep 1000\n"  # shuts down after 60 s alone


def test_no_host_is_left_of_a_stage_that_is_killed_or_ends(tmp_path: Path) -> None:
    with network() as (name, gateway):
        with stage_on(name, gateway, tmp_path) as killed:
            _in_every_state(Ec2Stack(killed, name, gateway))
            killed.process.kill()
            killed.process.wait(LONG_S)
            assert len(running(name)) >= 3, "nobody is there to remove them"
        with stage_on(name, gateway, tmp_path) as ended:
            assert running(name) == []
            waited_for = _in_every_state(Ec2Stack(ended, name, gateway))
            ended.process.send_signal(signal.SIGTERM)
            ended.process.wait(LONG_S)
            assert _left(name) == []
            late = [line for line in _log(ended) if "not ended in time" in line]
            assert not [one for one in waited_for if one in "".join(late)]


def _in_every_state(stack: Ec2Stack) -> list[str]:
    """Have instances that are running, pending, stopping and shutting-down, which do not end by themselves; the ids of
    the last two."""
    stopping, ending, _ = made = [stack.run(DEAF) for _ in range(3)]
    for each in made:
        stack.says(each, "deaf")
    stack.ec2.stop_instances(InstanceIds=[stopping])
    stack.ec2.terminate_instances(InstanceIds=[ending])
    for each in stopping, ending:
        stack.says(each, "powers down")
    assert [stack.state(each) for each in made] == ["stopping", "shutting-down", "running"]
    stack.run(DEAF)
    return [stopping, ending]


def _left(network: str) -> list[str]:
    """The containers, networks and volumes that a stage has made."""
    label = f"label=com.stagemaker.network={network}"
    kinds = {"container": ("--all",), "network": (), "volume": ()}
    found = (docker(kind, "ls", "--quiet", "--filter", label, *more) for kind, more in kinds.items())
    return " ".join(found).split()


def _log(localstack: LocalStack) -> list[str]:
    return (localstack.folder / "log.txt").read_text().splitlines()
