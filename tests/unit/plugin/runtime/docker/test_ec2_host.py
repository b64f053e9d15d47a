"""The container of an EC2 host, without an engine: who removes it, and when that is done."""

import threading
from typing import Any

from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.ec2_host import DockerEc2Host

PATIENCE_S = 60
SPEC = ContainerSpec("i-1", "stagemaker/ec2-host:latest", (), None, {})


def test_two_that_remove_it_at_once_both_return_when_it_is_removed_once() -> None:
    begun, may_end, calls, seen = threading.Event(), threading.Event(), list[str](), list[bool]()

    def remove() -> None:
        calls.append("remove")
        begun.set()
        assert may_end.wait(PATIENCE_S)

    def remove_too() -> None:
        host.kill()
        seen.append(may_end.is_set())

    engine: Any = None
    host = DockerEc2Host(SPEC, engine, "id", hardware="CPU", remove=remove, supervisor=Supervisor())
    first = threading.Thread(target=host.kill)
    second = threading.Thread(target=remove_too)
    first.start()
    assert begun.wait(PATIENCE_S)
    second.start()
    second.join(0.2)  # it would end now if it did not wait
    may_end.set()
    for each in (first, second):
        each.join(PATIENCE_S)
    host.kill()
    assert (calls, seen) == (["remove"], [True])
