"""The hosts of a job alone: started, followed, stopped."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.signals import Signals
from stagemaker.core.supervisor import Supervisor
from stagemaker.jobs.follow import End, EndReason
from stagemaker.jobs.hosts import Hosts
from stagemaker.runtime.contract import ContainerSpec, Exit
from stagemaker.runtime.fake import Behaviour, FakeContainer, FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import FakeClock


class Heard:
    """HostLogs that remember what they were told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def open(self, host: str) -> None:
        self.calls.append(("open", host))

    def on_line(self, host: str, line: str) -> None:
        self.calls.append(("line", host, line))

    def begin(self, host: str, hardware: str, notes: Sequence[str]) -> None:
        self.calls.append(("begin", host, hardware))


class Refusing(FakeRuntime):
    """Starts no container of the host `refused`."""

    refused = ""
    on_start: Callable[[], None] = staticmethod(lambda: None)

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> FakeContainer:
        if spec.host == self.refused:
            raise ApiError("InternalFailure", "the engine is full.", 500)
        container = super().start(spec, on_line)
        self.on_start()
        return container


def waits(program: FakeProgram) -> int:
    program.sleep(30)
    return 0


def stubborn(program: FakeProgram) -> int:
    program.handles_sigterm = True
    while True:
        program.sleep(30)


class HostsEnvironment:
    """Hosts over the fake runtime, whose image runs `behaviour`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runtime, self.signals, self.heard = folder, Refusing({}), Signals(), Heard()
        self.hosts = Hosts(self.runtime, self.signals, FakeClock(), Supervisor(), {})

    def start(self, behaviour: Behaviour, count: int) -> dict[str, str]:
        self.runtime.behaviours["trainer"] = behaviour
        names = [f"algo-{number}" for number in range(1, count + 1)]
        specs = [ContainerSpec(n, "stagemaker/trainer", ("train",), self.folder, host=n) for n in names]
        return self.hosts.start(specs, self.heard)

    def exits(self) -> list[Exit | None]:
        return [container.poll() for container in self.runtime.containers]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[HostsEnvironment]:
    made = HostsEnvironment(tmp_path)
    yield made
    made.runtime.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_host_is_heard_and_followed(environment: HostsEnvironment, count: int) -> None:
    def says(program: FakeProgram) -> int:
        program.say(f"I am {program.spec.host}")
        return 0

    names = [f"algo-{number}" for number in range(1, count + 1)]
    assert environment.start(says, count) == dict.fromkeys(names, "nothing: it is a fake")
    assert environment.hosts.follow(float("inf"), lambda: None) == End(EndReason.EXITED, (Exit(0),) * count)
    for name in names:
        mine = [call for call in environment.heard.calls if call[1] == name]
        assert mine[0] == ("open", name)
        assert sorted(mine[1:]) == [("begin", name, "nothing: it is a fake"), ("line", name, f"I am {name}")]


def test_a_host_that_cannot_start_is_named_and_the_others_can_be_stopped(environment: HostsEnvironment) -> None:
    environment.runtime.refused = "algo-2"
    with pytest.raises(ApiError) as caught:
        environment.start(waits, 3)
    assert caught.value.message == "algo-2 could not be started: the engine is full."
    assert (caught.value.code, caught.value.status) == ("InternalFailure", 500)
    environment.hosts.stop()
    assert environment.exits() == [Exit(143)]


def test_the_only_host_needs_no_name(environment: HostsEnvironment) -> None:
    environment.runtime.refused = "algo-1"
    with pytest.raises(ApiError) as caught:
        environment.start(waits, 1)
    assert caught.value.message == "the engine is full."


def test_a_stop_during_the_start_starts_no_more(environment: HostsEnvironment) -> None:
    environment.runtime.on_start = environment.signals.stop
    assert list(environment.start(waits, 3)) == ["algo-1"]
    assert environment.hosts.follow(float("inf"), lambda: None) == End(EndReason.STOPPED, (Exit(143),))


def test_an_abort_gives_no_grace(environment: HostsEnvironment) -> None:
    environment.start(stubborn, 3)
    environment.signals.abort()
    assert environment.hosts.follow(float("inf"), lambda: None).reason is EndReason.ABORTED
    assert environment.exits() == [Exit(137)] * 3


def test_stop_without_hosts_and_after_the_end(environment: HostsEnvironment) -> None:
    environment.hosts.stop()
    environment.start(lambda program: 0, 2)
    environment.hosts.follow(float("inf"), lambda: None)
    environment.hosts.stop()
    assert environment.exits() == [Exit(0), Exit(0)]
