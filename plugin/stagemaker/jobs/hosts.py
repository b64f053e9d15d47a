"""The hosts of one attempt: their containers, started one after another, followed and stopped together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from stagemaker.core.errors import ApiError
from stagemaker.core.signals import Signals
from stagemaker.core.supervisor import Supervisor
from stagemaker.jobs.follow import SIBLING_GRACE_S, End, follow, stop_all
from stagemaker.runtime.contract import Container, ContainerSpec, Runtime


class HostLogs(Protocol):
    """Where the output of hosts goes, each known by its name. Lines may come from any thread."""

    def open(self, host: str) -> None:
        """The host is about to start."""

    def on_line(self, host: str, line: str) -> None:
        """A line of its output."""

    def begin(self, host: str, hardware: str, notes: Sequence[str]) -> None:
        """It has started, on this hardware; `notes` are sentences for its first lines."""


class Hosts:
    """One thread calls `start`, `follow` and then always `stop`. `pinned` has what each image runs as, by its name."""

    def __init__(
        self,
        runtime: Runtime,
        signals: Signals,
        clock: Callable[[], float],
        supervisor: Supervisor,
        pinned: Mapping[str, str],
    ) -> None:
        self._pinned = pinned
        self._runtime, self._signals, self._clock, self._supervisor = runtime, signals, clock, supervisor
        self._containers: list[Container] = []

    def start(self, specs: Sequence[ContainerSpec], logs: HostLogs) -> dict[str, str]:
        """Start them, at least the first and no more after a signal; what each that started runs on, by its host.

        ApiError, which names the host where there are several, when one cannot start: the others are for `stop`."""
        for spec in specs:
            if self._containers and self._signals.any:
                break
            logs.open(spec.host)
            try:
                pinned = replace(spec, pinned=self._pinned.get(spec.image, ""))
                container = self._runtime.start(pinned, partial(logs.on_line, spec.host))
            except ApiError as error:
                if len(specs) == 1:
                    raise
                sentence = f"{spec.host} could not be started: {error.message}"
                raise ApiError(error.code, sentence, error.status) from error
            self._containers.append(container)
            logs.begin(spec.host, container.hardware, container.notes)
        return {container.spec.host: container.hardware for container in self._containers}

    def follow(self, deadline_s: float, on_tick: Callable[[], None]) -> End:
        """Until they have all ended, or are to end: by a signal, at the clock's `deadline_s`, or since one failed."""
        return follow(
            self._containers, self._signals, self._clock, deadline_s, supervisor=self._supervisor, on_tick=on_tick
        )

    def stop(self) -> None:
        """Nothing of them is left when this returns, whatever happened before."""
        stop_all(self._containers, SIBLING_GRACE_S)
