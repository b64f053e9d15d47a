"""The table of all experiments: the name, the promise that it tries, and the function that breaks something."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos import experiments as e
from tests.chaos import lab
from tests.chaos.lab import LabEnvironment
from tests.chaos.stack import ContainerEnvironment
from tests.chaos.trial import Trial


@dataclass(frozen=True)
class Experiment[Broken]:
    """`promise` is the sentence of docs/promises.md. A `quick` one runs in CI. One that `wears` the instances uses up
    their restarts, so that the runner replaces them afterwards, under load too."""

    name: str
    run: Callable[[Broken, Trial], None]
    promise: str
    quick: bool = False
    wears: bool = False


STACK: tuple[Experiment[ContainerEnvironment], ...] = (
    Experiment(
        "kill-instance", e.kill_an_instance,
        "When one of several instances dies, only the calls that it held fail, as ModelError; it is started again.",
        quick=True, wears=True,
    ),
    Experiment(
        "kill-all-instances", e.kill_all_instances,
        "When all instances die, calls are ServiceUnavailable (503) or ModelError until one serves again.",
        wears=True,
    ),
    Experiment(
        "pause-instance", e.pause_an_instance,
        "An instance that answers nothing gets no new calls after three late pings, and is replaced; its calls fail.",
        wears=True,
    ),
    Experiment(
        "cut-instance", e.cut_an_instance_off,
        "When an instance loses its network, the calls that it held fail; others take the new ones; it is replaced.",
        wears=True,
    ),
    Experiment(
        "memory-instance", e.starve_an_instance,
        "When an instance runs out of memory, the calls that it held fail as ModelError; it is started again.",
        wears=True,
    ),
    Experiment(
        "kill-host", e.kill_a_host_of_a_job,
        "When a host of a job dies, the job is Failed with its exit code, and the other hosts end with it.",
        quick=True,
    ),
    Experiment(
        "memory-job", e.starve_a_job,
        "A job that runs out of memory is Failed, and its FailureReason says so.",
        quick=True,
    ),
    Experiment(
        "kill-function", e.kill_a_function,
        "When the container of a function dies, only its invocation fails; the next one gets a new container.",
        quick=True,
    ),
    Experiment(
        "registry", e.take_the_registry_away,
        "While the registry is gone, logins and pushes say so; all else goes on. When it is back, pushes work at once.",
    ),
    Experiment(
        "kill-localstack", e.kill_localstack,
        "When LocalStack is killed, all records and calls are lost; `docker compose up --wait` starts it anew, and "
        "nothing of the old one is left.",
    ),
    Experiment(
        "pause-localstack", e.pause_localstack,
        "When LocalStack stands still for seconds, calls wait and are answered, and no instance is replaced.",
        quick=True,
    ),
    Experiment(
        "slow-s3", e.slow_s3,
        "When S3 is slow, jobs wait for their data; endpoints and all other calls are as quick as before.",
    ),
    Experiment(
        "lines", e.flood_of_lines,
        "A job that writes lines without end loses lines, and its log says how many; nothing else suffers.",
    ),
    Experiment(
        "connections", e.flood_of_connections,
        "Thousands of connections that say nothing take no call away from others.",
    ),
    Experiment(
        "bodies", e.flood_of_bodies,
        "Slow bodies and large ones take no call away from others; what is longer than any operation takes is refused.",
    ),
    Experiment(
        "cpu", e.starve_localstack,
        "When LocalStack has hardly any processor time, calls are slower and are answered; no instance is replaced.",
    ),
    Experiment(
        "calls", e.flood_of_calls,
        "Of more calls than the machine answers each is answered or refused, and the steady load loses none.",
    ),
    Experiment(
        "delete-endpoint", e.delete_the_endpoint,
        "When an endpoint is deleted under load, the calls that it has are answered, and the others find no endpoint.",
    ),
)  # fmt: skip
LAB: tuple[Experiment[LabEnvironment], ...] = (
    Experiment(
        "restart-engine", lab.restart_the_engine,
        "When the Docker engine is restarted, jobs are Failed with the reason, and instances are started again.",
    ),
    Experiment(
        "pause-engine", lab.pause_the_engine,
        "While the Docker engine answers nothing, endpoints answer; what needs the engine waits or fails, and works "
        "again afterwards.",
    ),
    Experiment(
        "full-disk", lab.fill_the_disk,
        "When the disk is full, what needs it fails and says so; endpoints answer; with space again all works.",
    ),
    Experiment(
        "clock", lab.jump_the_clock,
        "Time limits and health checks do not follow the machine's clock: when it jumps, jobs and endpoints go on.",
    ),
)  # fmt: skip
PROMISES = {one.name: one.promise for one in STACK} | {one.name: one.promise for one in LAB}
NAMES = tuple(PROMISES)
QUICK = tuple(experiment.name for experiment in STACK if experiment.quick)
