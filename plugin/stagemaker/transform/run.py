"""The run of a transform job: a fleet of its model's instances, and every object of its input through them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from stagemaker.core.errors import hinted
from stagemaker.core.kinds import MODEL
from stagemaker.core.text import printable
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.fleet import Fleet, FleetFailed
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.instance import Instance
from stagemaker.hosting.layout import FleetLayout, lay_out_fleet
from stagemaker.hosting.multi_container import containers_of
from stagemaker.hosting.targets import VariantTarget
from stagemaker.jobs.inputs import listed
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed
from stagemaker.transform.container import Caller, NoAnswer
from stagemaker.transform.objects import Cancelled, Transformer
from stagemaker.transform.paths import BadPath
from stagemaker.transform.plan import TransformPlan
from stagemaker.transform.splitting import BadRecord

LOG_GROUP = "/aws/sagemaker/TransformJobs"
LOOK_S = 0.05  # between two looks at the fleet and at the job's signals
SEE_LOGS = "AlgorithmError: See job logs for more information"  # AWS's
NO_PING = (  # AWS's
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)


class TransformRun:
    """Of one job, for its own thread. `transform` and then always `end`; `store` what was answered."""

    def __init__(self, job: Job[TransformPlan]) -> None:
        self._job, self._plan = job, job.plan
        layout, times = _layout(job), HealthTimes(request_s=job.plan.timeout_s)
        context = FleetContext(
            job.runtime, job.account, job.logs, job.clock, job.supervisor, times, job.elapsed, source_arn=job.ref.arn
        )
        targets = {job.plan.name: VariantTarget(job.plan.instances, 1.0)}
        self._fleet = Fleet(layout, targets, job.ref.scope, context)
        self._broken = False  # the fleet cannot serve any more
        self._answered: dict[str, Path] = {}  # the files of answers, by where they go

    def transform(self) -> bool:
        """Whether every object could be answered, or none was to be: the job is stopping. JobFailed when the model's
        containers do not serve."""
        if not self._start():
            return True
        self._job.change(lambda _: {"TransformStartTime": self._job.clock()})
        caller = Caller(self._instances, self._plan.timeout_s, self._plan.retries, self._is_over)
        concurrency, max_bytes, strategy = caller.batching(self._plan.batching)
        transformer = Transformer(self._plan, concurrency, max_bytes, strategy, self._is_over)
        words = "MULTI_RECORD" if strategy == "MultiRecord" else "SINGLE_RECORD"
        logs = [self._data_log(instance) for instance in self._instances()]
        for log in logs:
            log(f"MaxConcurrentTransforms={concurrency}, MaxPayloadInMB={max_bytes >> 20}, BatchStrategy={words}")
        found = listed(self._job.account, self._job.ref.scope, self._plan.source)
        objects = [(f"s3://{found.prefix.split('/')[2]}/{key}", self._plan.output_of(key, found.prefix))
                   for key in sorted(set(found.keys))]  # fmt: skip
        with ThreadPoolExecutor(len(logs)) as pool:
            lots = [
                pool.submit(self._transform_lot, number, objects[number :: len(logs)], transformer, caller, log)
                for number, log in enumerate(logs)
            ]
            while wait(lots, LOOK_S).not_done:
                self._watch()
        if self._broken:
            raise JobFailed(SEE_LOGS)
        return all(whole for whole in [lot.result() for lot in lots])

    def store(self) -> None:
        """Send the answers to every object that was answered whole."""
        for uri, path in self._answered.items():
            self._job.account.upload_file(self._job.ref.scope, path, uri)

    def end(self) -> None:
        """Nothing of the containers is left."""
        self._fleet.cancel()
        self._fleet.stop()

    def _start(self) -> bool:
        """Until all instances serve; False when the job is to end before."""
        try:
            while not self._job.signals.any:
                self._fleet.reconcile()
                if self._fleet.settled:
                    return True
                self._fleet.wait(LOOK_S)
        except FleetFailed as error:
            raise JobFailed(hinted(NO_PING, str(error))) from error
        return False

    def _watch(self) -> None:
        """While objects are on their way: notice that no instance is left, and end requests that nobody wants."""
        if self._job.signals.any:
            self._fleet.cancel()
            return
        try:
            self._fleet.reconcile()
        except FleetFailed:
            self._broken = True

    def _is_over(self) -> bool:
        return self._broken or self._job.signals.any

    def _instances(self) -> Sequence[Instance]:
        return self._fleet.instances(self._plan.name)

    def _data_log(self, instance: Instance) -> Callable[[str], None]:
        stream = f"{instance.layout.log_stream}/data-log"
        write = self._job.logs.stream(self._job.ref.scope, LOG_GROUP, stream)

        def say(line: str) -> None:
            moment = datetime.fromtimestamp(self._job.clock(), UTC).isoformat(timespec="milliseconds")
            write(f"{moment.removesuffix('+00:00')}:[sagemaker logs]: {line}")

        return say

    def _transform_lot(
        self,
        number: int,
        objects: Sequence[tuple[str, str]],
        transformer: Transformer,
        caller: Caller,
        log: Callable[[str], None],
    ) -> bool:
        """The objects of the instance of that number, one after another, each with where its answers go; whether all
        could be answered."""
        ask = partial(caller.invoke, headers=self._headers(), first=number)
        whole = True
        with ThreadPoolExecutor(transformer.concurrency) as executor:
            for count, (uri, output_uri) in enumerate(objects):
                if self._is_over():
                    break
                source, target = (self._job.folder / f"{name}-{number}-{count}" for name in ("object", "answer"))
                try:
                    self._job.account.download_file(self._job.ref.scope, uri, source)
                    transformer.transform(source, target, ask, executor)
                    self._answered[output_uri] = target
                except Cancelled:
                    break
                except (BadRecord, BadPath, NoAnswer) as error:
                    log(f"{printable(uri.removeprefix('s3://'))}: {error}")
                    target.unlink(missing_ok=True)
                    whole = False
                finally:
                    source.unlink(missing_ok=True)
        return whole

    def _headers(self) -> dict[str, str]:
        given = {"Content-Type": self._plan.content_type, "Accept": self._plan.accept}
        return {name: value for name, value in given.items() if value}


def _layout(job: Job[TransformPlan]) -> FleetLayout:
    """The fleet of the job's model, as an endpoint of one variant would have it. JobFailed when the model is gone."""
    plan, model = job.plan, job.find(MODEL, job.plan.model)
    if model is None:
        raise JobFailed(f"ClientError: Could not find model {plan.model}: it was deleted.")
    containers = [
        {**container, "Environment": {**container.get("Environment", {}), **plan.environment}}
        for container in containers_of(model)
    ]
    variant = {"VariantName": plan.name, "ModelName": plan.model, "InstanceType": plan.instance_type}
    config = {"EndpointConfigName": "", "ProductionVariants": [variant]}
    models = {plan.model: {**model, "Containers": containers}}
    layout = lay_out_fleet(plan.name, config, models, generation="", work_dir=job.folder)
    return replace(layout, folder=job.folder / "fleet", log_group=LOG_GROUP, log_suffix=f"-{int(job.clock())}")
