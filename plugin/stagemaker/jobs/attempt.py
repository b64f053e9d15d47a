"""One run of a job's containers. A job that is interrupted, or whose machine is at fault, can begin another."""

from collections.abc import Callable, Sequence

from stagemaker.core.signals import Signals
from stagemaker.jobs.follow import End
from stagemaker.jobs.hosts import HostLogs, Hosts
from stagemaker.runtime.contract import ContainerSpec


class Attempt:
    """For the job's own thread, once. `number` is 1 for the first. `signals` has what is wanted of the whole job, and
    `interrupt`, which ends this attempt alone."""

    def __init__(self, number: int, signals: Signals, hosts: Hosts, logs: HostLogs, clock: Callable[[], float]) -> None:
        self.number, self.signals = number, signals
        self._hosts, self._logs, self._clock = hosts, logs, clock

    def run(
        self,
        specs: Sequence[ContainerSpec],
        max_runtime_s: float,
        *,
        on_started: Callable[[dict[str, str]], object],
        on_tick: Callable[[], None] = lambda: None,
    ) -> End:
        """Start the containers and wait for their end; nothing of them runs when this returns or raises.

        `on_started` gets what each host runs on, unless a signal came before; `on_tick` is called many times a second
        while they run. Raises ApiError when one cannot be started, and what the two raise."""
        try:
            hardware = self._hosts.start(specs, self._logs)
            deadline_s = self._clock() + max_runtime_s
            if not self.signals.any:
                on_started(hardware)
            return self._hosts.follow(deadline_s, on_tick)
        finally:
            self._hosts.stop()
