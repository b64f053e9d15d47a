"""The hosts of a job alone: started, followed, stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.jobs.follow import End, Signals, Why
from stagemaker.jobs.hosts import Hosts
from stagemaker.runtime.contract import ContainerSpec, Exit
from stagemaker.runtime.fake import Behaviour, FakeContainer, FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import FakeClock


class Heard:
    """See HostLogs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def open(self, host: str) -> None:
        self.calls.append(("open", host))

    def on_line(self, host: str, line: str) -> None:
        self.calls.append(("line", host, line))

    def begin(self, host: str, hardware: str) -> None:
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


class Stand:
    """Hosts over the fake runtime, whose image runs `behaviour`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runtime, self.signals, self.heard = folder, Refusing({}), Signals(), Heard()
        self.hosts = Hosts(self.runtime, self.signals, FakeClock())

    def start(self, behaviour: Behaviour, count: int) -> dict[str, str]:
        self.runtime.behaviours["trainer"] = behaviour
        names = [f"algo-{number}" for number in range(1, count + 1)]
        specs = [ContainerSpec(n, "stagemaker/trainer", ("train",), self.folder, host=n) for n in names]
        return self.hosts.start(specs, self.heard)

    def exits(self) -> list[Exit | None]:
        return [container.poll() for container in self.runtime._containers]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.runtime.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_host_is_heard_and_followed(stand: Stand, count: int) -> None:
    def says(program: FakeProgram) -> int:
        program.say(f"I am {program.spec.host}")
        return 0

    names = [f"algo-{number}" for number in range(1, count + 1)]
    assert stand.start(says, count) == dict.fromkeys(names, "nothing: it is a fake")
    assert stand.hosts.follow(float("inf"), lambda: None) == End(Why.EXITED, (Exit(0),) * count)
    for name in names:
        mine = [call for call in stand.heard.calls if call[1] == name]
        assert mine[0] == ("open", name)
        assert sorted(mine[1:]) == [("begin", name, "nothing: it is a fake"), ("line", name, f"I am {name}")]


def test_a_host_that_cannot_start_is_named_and_the_others_can_be_stopped(stand: Stand) -> None:
    stand.runtime.refused = "algo-2"
    with pytest.raises(ApiError) as caught:
        stand.start(waits, 3)
    assert caught.value.message == "algo-2 could not be started: the engine is full."
    assert (caught.value.code, caught.value.status) == ("InternalFailure", 500)
    stand.hosts.stop()
    assert stand.exits() == [Exit(143)]


def test_the_only_host_needs_no_name(stand: Stand) -> None:
    stand.runtime.refused = "algo-1"
    with pytest.raises(ApiError) as caught:
        stand.start(waits, 1)
    assert caught.value.message == "the engine is full."


def test_a_stop_during_the_start_starts_no_more(stand: Stand) -> None:
    stand.runtime.on_start = stand.signals.stop
    assert list(stand.start(waits, 3)) == ["algo-1"]
    assert stand.hosts.follow(float("inf"), lambda: None) == End(Why.STOPPED, (Exit(143),))


def test_an_abort_gives_no_grace(stand: Stand) -> None:
    stand.start(stubborn, 3)
    stand.signals.abort()
    assert stand.hosts.follow(float("inf"), lambda: None).why is Why.ABORTED
    assert stand.exits() == [Exit(137)] * 3


def test_stop_without_hosts_and_after_the_end(stand: Stand) -> None:
    stand.hosts.stop()
    stand.start(lambda program: 0, 2)
    stand.hosts.follow(float("inf"), lambda: None)
    stand.hosts.stop()
    assert stand.exits() == [Exit(0), Exit(0)]
