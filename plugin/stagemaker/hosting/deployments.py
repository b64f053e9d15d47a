"""The life of an endpoint's fleets: each has a thread that starts, watches and ends it, and keeps the record true.

An endpoint is InService only when every instance of its fleet answered /ping with 200, and Failed only when nothing of
the fleet is left running. The record of a deleted endpoint stays, as Deleting, until that is so.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.hosting.fleet import Cancelled, Fleet, FleetAws, FleetFailed, FleetLogs
from stagemaker.hosting.plan import FleetPlan
from stagemaker.runtime.contract import Runtime

LOG = logging.getLogger(__name__)
KIND = "endpoint"
GRACE_S = 30.0  # AWS's: SIGKILL follows SIGTERM after it
CLOSE_GRACE_S = 5.0  # (ours) at the end of LocalStack, which somebody waits for
CLOSE_WAIT_S = 20.0  # (ours) for a download that hangs; the runtime's own close then kills what is left
DRAIN_S, DRAIN_POLL_S = 60.0, 0.05  # no request takes longer
MAX_REASON_CHARS = 1024  # AWS's limit of FailureReason
_Key = tuple[Scope, str]


class Deployments:
    """Every fleet that runs, by endpoint. `launch`, `cancel` and `change` are called with the store's lock held."""

    def __init__(
        self, store: Store, runtime: Runtime, aws: FleetAws, logs: FleetLogs, clock: Callable[[], float]
    ) -> None:
        self._store, self._runtime, self._aws, self._logs, self._clock = store, runtime, aws, logs, clock
        # Under the store's lock: the fleet that takes an endpoint's requests, and every fleet that has a thread.
        self._serving: dict[_Key, Fleet] = {}
        self._threads: dict[_Key, dict[Fleet, threading.Thread]] = {}
        self._closed = False

    def launch(self, scope: Scope, plan: FleetPlan) -> None:
        """Start a fleet; when it is healthy it takes the place of the one that serves, if there is one."""
        if self._closed:
            raise ApiError("InternalFailure", "Stagemaker is shutting down.", 500)
        fleet = Fleet(plan, scope, self._runtime, self._aws, self._logs, self._clock)
        name = f"endpoint {plan.endpoint}"
        thread = threading.Thread(target=self._run, args=(scope, plan.endpoint, fleet), name=name, daemon=True)
        thread.start()
        self._threads.setdefault((scope, plan.endpoint), {})[fleet] = thread

    def serving(self, scope: Scope, name: str) -> Fleet | None:
        """The fleet that takes the endpoint's requests now, if there is one."""
        return self._serving.get((scope, name))

    def cancel(self, scope: Scope, name: str) -> bool:
        """Make every fleet of the endpoint stop; whether there is one. The last one forgets a Deleting endpoint."""
        fleets = self._threads.get((scope, name), {})
        self._serving.pop((scope, name), None)
        for fleet in fleets:
            fleet.cancel()
        return bool(fleets)

    def close(self) -> None:
        """Stop every fleet and wait until nothing of them is left, but not for ever. Launch nothing any more."""
        with self._store.lock:
            self._closed = True
            running = [(fleet, thread) for fleets in self._threads.values() for fleet, thread in fleets.items()]
            self._serving.clear()
        for fleet, _ in running:
            fleet.cancel()
        deadline = time.monotonic() + CLOSE_WAIT_S
        for _, thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))

    def change(self, scope: Scope, name: str, status: str, **changes: Any) -> None:
        """Replace the record. A FailureReason lasts until the next change."""
        old = {key: value for key, value in get_endpoint(self._store, scope, name).items() if key != "FailureReason"}
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._store.put(scope, KIND, name, {**old, **changes, "EndpointStatus": status, "LastModifiedTime": now})

    def _run(self, scope: Scope, name: str, fleet: Fleet) -> None:
        """The life of a fleet, in its own thread."""
        reason = None
        try:
            fleet.start()
            if self._enter_service(scope, name, fleet):
                fleet.watch()
        except Cancelled:
            pass
        except FleetFailed as failure:
            reason = str(failure)
        except Exception as error:
            LOG.exception("endpoint %s", name)
            reason = f"Request to service failed: {type(error).__name__}: {error}"
        self._leave_service(scope, name, fleet, reason)
        self._drain(scope, name, fleet)
        try:
            fleet.stop(CLOSE_GRACE_S if self._closed else GRACE_S)
            if reason:
                self._logs.flush()  # whoever sees it finds all of the logs
        finally:
            self._end(scope, name, fleet, reason)

    def _enter_service(self, scope: Scope, name: str, fleet: Fleet) -> bool:
        with self._store.lock:
            if fleet.cancelled:
                return False
            old, self._serving[scope, name] = self._serving.get((scope, name)), fleet
            if old:
                old.cancel()
            self.change(scope, name, "InService", EndpointConfigName=fleet.plan.config)
            return True

    def _leave_service(self, scope: Scope, name: str, fleet: Fleet, reason: str | None) -> None:
        """Send it no more requests; what is said of the endpoint while it stops."""
        with self._store.lock:
            status = get_endpoint(self._store, scope, name)["EndpointStatus"]
            if self._serving.get((scope, name)) is fleet:
                del self._serving[scope, name]
                if status == "InService":
                    self.change(scope, name, "OutOfService")
            elif reason and not fleet.cancelled and status == "Updating":
                self.change(scope, name, "RollingBack")

    def _drain(self, scope: Scope, name: str, fleet: Fleet) -> None:
        """While another fleet serves in its place, let this one finish the requests that it has."""
        deadline = time.monotonic() + DRAIN_S
        while fleet.drain() and self._serving.get((scope, name)) is not None and time.monotonic() < deadline:
            time.sleep(DRAIN_POLL_S)

    def _end(self, scope: Scope, name: str, fleet: Fleet, reason: str | None) -> None:
        """Nothing of the fleet is left: what becomes of the endpoint."""
        with self._store.lock:
            fleets = self._threads[scope, name]
            del fleets[fleet]
            status = get_endpoint(self._store, scope, name)["EndpointStatus"]
            if not fleets:
                del self._threads[scope, name]
            if status == "Deleting":
                if not fleets:
                    self._store.delete(scope, KIND, name)
            elif reason and not fleet.cancelled:
                if (scope, name) in self._serving:
                    self.change(scope, name, "InService", FailureReason=reason[:MAX_REASON_CHARS])
                elif not fleets:
                    self.change(scope, name, "Failed", FailureReason=reason[:MAX_REASON_CHARS])


def get_endpoint(store: Store, scope: Scope, name: str) -> Record:
    """The record, or ValidationException in AWS's words."""
    record = store.get(scope, KIND, name)
    if record is None:
        arn = scope.arn("sagemaker", f"{KIND}/{name.lower()}")
        raise validation_error(f'Could not find endpoint "{arn}".')
    return record
