"""InvokeEndpointAsync: requests wait in a queue of their endpoint until an instance has room for them.

One thread gives the requests of all endpoints to instances; each request then has a thread of its own. The queues live
in memory, like the records.
"""

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Change, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.hosting.async_config import MAX_CONCURRENT, async_config
from stagemaker.hosting.async_queue import AsyncQueue
from stagemaker.hosting.async_request import TEST_MESSAGE, AsyncRequest, plan_async
from stagemaker.hosting.async_work import AsyncAccount, AsyncWork
from stagemaker.hosting.dispatch import Dispatcher, Exchange, Routers
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.http_client import NotReached
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.router import Router

LOG = logging.getLogger(__name__)
LOOK_S = 0.2  # (ours) between two looks for an instance that has room
NO_THREAD = (ApiError, RuntimeError)  # the stage is shutting down, or there are no more threads
BEGINNINGS = ("Creating", "Updating")  # statuses
TELLS = 6  # (ours) how often in a period of CloudWatch the state of the queues is told


class AsyncInference:
    """InvokeEndpointAsync. `clock` is epoch seconds, `elapsed` are seconds that pass evenly. `work_dir` is ours alone.
    `minute_s` is the length of CloudWatch's period here."""

    def __init__(
        self,
        store: Store,
        routers: Routers,
        account: AsyncAccount,
        logs: RoleTelemetry,
        clock: Callable[[], float],
        supervisor: Supervisor,
        work_dir: Path,
        *,
        minute_s: float = 60.0,
        elapsed: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._store, self._routers, self._clock, self._elapsed = store, routers, clock, elapsed
        self._supervisor, self._new_id, self._tell_every_s = supervisor, new_id, minute_s / TELLS
        self._dispatcher, self._metrics = Dispatcher(store, routers, clock), EndpointMetrics(logs, clock)
        self._ended, self._wake = threading.Event(), threading.Event()
        self._lock = threading.Lock()  # of the queues and what is in them
        self._queues: dict[Ref, AsyncQueue] = {}
        work_dir.mkdir(parents=True)
        supervisor.own(lambda: shutil.rmtree(work_dir, ignore_errors=True))
        self._work = AsyncWork(account, self._metrics, logs, clock, elapsed, work_dir, self._ended.is_set)
        supervisor.start("asynchronous inference", self._run, cancel=self._end)
        store.watch(ENDPOINT, self._follow)

    def invoke_endpoint_async(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answers when the request waits.

        ValidationError for an endpoint that does not serve or is a real-time one, and as `plan_async`;
        ServiceUnavailable when too many wait.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        self._supervisor.refuse_when_closing()
        now_s, received_s = self._elapsed(), self._clock()
        with self._store.lock:  # the endpoint is not deleted meanwhile
            config = self._dispatcher.check_async(ref)
            planned = plan_async(request, config, queued_s=now_s, received_s=received_s, new_id=self._new_id)
            with self._lock:
                self._queues.setdefault(ref, AsyncQueue()).add(planned)
        self._wake.set()
        failure = {"FailureLocation": planned.failure_location} if planned.failure_location else {}
        return {"InferenceId": planned.inference_id, "OutputLocation": planned.output_location, **failure}

    def backlog(self, ref: Ref) -> int:
        """How many requests of the endpoint wait or are in work."""
        with self._lock:
            return self._queues.get(ref, AsyncQueue()).backlog

    def _end(self) -> None:
        self._ended.set()
        self._wake.set()

    def _run(self) -> None:
        tell_s = self._elapsed()
        while not self._ended.is_set():
            self._wake.wait(LOOK_S)
            self._wake.clear()
            with self._lock:
                queues = dict(self._queues)
            try:
                for ref, queue in queues.items():
                    with suppress(*NO_THREAD):
                        self._give_out(ref, queue)
                if (now_s := self._elapsed()) >= tell_s:
                    tell_s = now_s + self._tell_every_s
                    self._tell_backlogs()
            except Exception:
                LOG.exception("asynchronous inference")

    def _give_out(self, ref: Ref, queue: AsyncQueue) -> None:
        """Begin with whatever there is room for, and end what is too old."""
        router = self._routers.router(ref)
        fleet = next(iter(router.shares), None) if router else None
        if router is None or fleet is None:
            return
        while expired := self._take(lambda: queue.begin_expired(self._elapsed())):
            work = partial(self._work.expire, ref, expired, fleet, fleet.layout.variants[0])
            self._start(ref, queue, expired, work, lambda: None)
        while queue.waiting and (place := _place(router)):
            exchange = Exchange(*place, self._clock())
            request = self._take(queue.begin)
            if request is None:
                exchange.close()
                return
            try:
                self._start(ref, queue, request, partial(self._process, ref, request, exchange), exchange.cancel)
            except BaseException:
                exchange.close()
                raise

    def _take(self, take: Callable[[], AsyncRequest | None]) -> AsyncRequest | None:
        with self._lock:
            return take()

    def _start(
        self,
        ref: Ref,
        queue: AsyncQueue,
        request: AsyncRequest,
        work: Callable[[], None],
        cancel: Callable[[], object],
    ) -> None:
        """Work on it in a thread of its own. What did not reach an instance waits again."""

        def run() -> None:
            end = queue.end
            try:
                work()
            except NotReached:
                end = partial(queue.put_back, request)
                self._ended.wait(LOOK_S)
            finally:
                with self._lock:
                    end()
                self._wake.set()

        try:
            self._supervisor.start(f"asynchronous inference {ref.name}", run, cancel=cancel)
        except BaseException:
            with self._lock:
                queue.put_back(request)
            raise

    def _process(self, ref: Ref, request: AsyncRequest, exchange: Exchange) -> None:
        try:
            self._work.process(ref, request, exchange)
        finally:
            exchange.close()

    def _tell_backlogs(self) -> None:
        """AWS's metrics of the queue of each asynchronous endpoint that serves."""
        for ref, _ in self._store.everywhere(ENDPOINT):
            router = self._routers.router(ref)
            fleets = [fleet for fleet in router.shares if fleet.layout.async_config] if router else []
            if fleets:
                self._tell_backlog(ref, fleets)

    def _tell_backlog(self, ref: Ref, fleets: list[Fleet]) -> None:
        with self._lock:
            queue = self._queues.get(ref, AsyncQueue())
            backlog, waiting, oldest_s = queue.backlog, queue.waiting, queue.oldest_s(self._elapsed())
        instances = sum(fleet.in_service(variant.name) for fleet in fleets for variant in fleet.layout.variants)
        counts = {
            "ApproximateBacklogSize": float(backlog),
            "HasBacklogWithoutCapacity": float(waiting > 0 and instances == 0),
        }
        if instances:
            counts["ApproximateBacklogSizePerInstance"] = backlog / instances
        dimensions = {"EndpointName": ref.name}
        self._metrics.put(ref.scope, dimensions, counts, "Count")
        self._metrics.put(ref.scope, dimensions, {"ApproximateAgeOfOldestRequest": oldest_s}, "Seconds")

    def _follow(self, change: Change) -> None:
        """Forget the queue of an endpoint that is deleted, and test the topics of one that is created or changed."""
        before, after = change.before or {}, change.after
        if after is None or after["EndpointStatus"] == "Deleting":
            with self._lock:
                waiting = self._queues.pop(change.ref, AsyncQueue()).waiting
            if waiting:
                LOG.warning("endpoint %s is deleted while %d requests wait for it", change.ref.name, waiting)
            return
        begins = after["EndpointStatus"] in BEGINNINGS and after["EndpointStatus"] != before.get("EndpointStatus")
        if not begins and after["EndpointConfigName"] == before.get("EndpointConfigName"):
            return
        record = self._store.get(Ref(change.ref.scope, ENDPOINT_CONFIG, after["EndpointConfigName"]))
        config = async_config(record) if record else None
        if record is None or config is None:
            return
        name = record["ProductionVariants"][0]["ModelName"]
        model = self._store.get(Ref(change.ref.scope, MODEL, name)) or {}
        for topic in sorted(config.topics):
            test = partial(self._work.tell, change.ref, model.get("ExecutionRoleArn", ""), topic, TEST_MESSAGE)
            with suppress(*NO_THREAD):
                self._supervisor.start(f"test of {topic}", test, cancel=lambda: None)


def _place(router: Router[Fleet]) -> tuple[Fleet, VariantLayout, Lease] | None:
    """A fleet, a variant and a place on an instance that has room for a request; None when there is none. The variant
    whose turn it is comes first."""
    tried: set[Fleet] = set()
    while chosen := router.choose(None, tried):
        fleet, name = chosen
        tried.add(fleet)
        config = fleet.layout.async_config
        most = config.max_concurrent if config else MAX_CONCURRENT  # it was an asynchronous one when the requests came
        weighted = [variant for variant in fleet.layout.variants if fleet.weights[variant.name] > 0]
        for variant in sorted(weighted, key=lambda variant: variant.name != name):
            full = {instance.id for instance in fleet.instances(variant.name) if instance.outstanding >= most}
            if lease := router.lease(fleet, variant, full):
                return fleet, variant, lease
    return None
