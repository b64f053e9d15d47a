"""The life of an endpoint's fleets: each has a thread that starts, watches and ends it, and keeps the record true.

An endpoint is InService only when every instance of its fleet answered /ping with 200, and Failed only when nothing of
the fleet is left running. The record of a deleted endpoint stays, as Deleting, until that is so.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from stagemaker.core.refs import Ref
from stagemaker.core.store import Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.fleet import Cancelled, Fleet, FleetAccount, FleetFailed, FleetLogs
from stagemaker.hosting.plan import FleetPlan
from stagemaker.hosting.records import existing
from stagemaker.runtime.contract import Runtime

LOG = logging.getLogger(__name__)
GRACE_S = 30.0  # AWS's: SIGKILL follows SIGTERM after it
CLOSE_GRACE_S = 5.0  # (ours) at the end of LocalStack, which somebody waits for
DRAIN_S, DRAIN_POLL_S = 60.0, 0.05  # no request takes longer
MAX_REASON_CHARS = 1024  # AWS's limit of FailureReason


class Deployments:
    """Every fleet that runs, by endpoint. `launch`, `cancel` and `change` are called with the store's lock held."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        account: FleetAccount,
        logs: FleetLogs,
        clock: Callable[[], float],
        supervisor: Supervisor,
    ) -> None:
        self._store, self._runtime, self._account, self._logs, self._clock = store, runtime, account, logs, clock
        self._supervisor = supervisor
        # Under the store's lock: the fleet that takes an endpoint's requests, and every fleet that has a task.
        self._serving: dict[Ref, Fleet] = {}
        self._fleets: dict[Ref, set[Fleet]] = {}

    def launch(self, ref: Ref, plan: FleetPlan) -> None:
        """Start a fleet; when it is healthy it takes the place of the one that serves, if there is one."""
        fleet = Fleet(plan, ref.scope, self._runtime, self._account, self._logs, self._clock)
        self._supervisor.start(f"endpoint {plan.endpoint}", lambda: self._run(ref, fleet), cancel=fleet.cancel)
        self._fleets.setdefault(ref, set()).add(fleet)

    def serving(self, ref: Ref) -> Fleet | None:
        """The fleet that takes the endpoint's requests now, if there is one."""
        return self._serving.get(ref)

    def cancel(self, ref: Ref) -> bool:
        """Make every fleet of the endpoint stop; whether there is one. The last one forgets a Deleting endpoint."""
        fleets = self._fleets.get(ref, set())
        self._serving.pop(ref, None)
        for fleet in fleets:
            fleet.cancel()
        return bool(fleets)

    def change(self, ref: Ref, status: str, **changes: Any) -> None:
        """Replace the record. A FailureReason lasts until the next change."""
        old = {key: value for key, value in existing(self._store, ref).items() if key != "FailureReason"}
        self._store.put(ref, {**old, **changes, "EndpointStatus": status, "LastModifiedTime": self._clock()})

    def _run(self, ref: Ref, fleet: Fleet) -> None:
        """The life of a fleet, in its own thread."""
        reason = None
        try:
            fleet.start()
            if self._enter_service(ref, fleet):
                fleet.watch()
        except Cancelled:
            pass
        except FleetFailed as failure:
            reason = str(failure)
        except Exception as error:
            LOG.exception("endpoint %s", ref.name)
            reason = f"Request to service failed: {type(error).__name__}: {error}"
        self._leave_service(ref, fleet, reason)
        self._drain(ref, fleet)
        try:
            fleet.stop(CLOSE_GRACE_S if self._supervisor.closing else GRACE_S)
            if reason:
                self._logs.flush()  # whoever sees it finds all of the logs
        finally:
            self._end(ref, fleet, reason)

    def _enter_service(self, ref: Ref, fleet: Fleet) -> bool:
        with self._store.lock:
            if fleet.cancelled:
                return False
            old, self._serving[ref] = self._serving.get(ref), fleet
            if old:
                old.cancel()
            self.change(ref, "InService", EndpointConfigName=fleet.plan.config)
            return True

    def _leave_service(self, ref: Ref, fleet: Fleet, reason: str | None) -> None:
        """Send it no more requests; what is said of the endpoint while it stops."""
        with self._store.lock:
            status = existing(self._store, ref)["EndpointStatus"]
            if self._serving.get(ref) is fleet:
                del self._serving[ref]
                if status == "InService":
                    self.change(ref, "OutOfService")
            elif reason and not fleet.cancelled and status == "Updating":
                self.change(ref, "RollingBack")

    def _drain(self, ref: Ref, fleet: Fleet) -> None:
        """While another fleet serves in its place, let this one finish the requests that it has."""
        deadline = time.monotonic() + DRAIN_S
        while fleet.drain() and self._serving.get(ref) is not None and time.monotonic() < deadline:
            time.sleep(DRAIN_POLL_S)

    def _end(self, ref: Ref, fleet: Fleet, reason: str | None) -> None:
        """Nothing of the fleet is left: what becomes of the endpoint."""
        with self._store.lock:
            fleets = self._fleets[ref]
            fleets.remove(fleet)
            status = existing(self._store, ref)["EndpointStatus"]
            if not fleets:
                del self._fleets[ref]
            if status == "Deleting":
                if not fleets:
                    self._store.delete(ref)
            elif reason and not fleet.cancelled:
                if ref in self._serving:
                    self.change(ref, "InService", FailureReason=reason[:MAX_REASON_CHARS])
                elif not fleets:
                    self.change(ref, "Failed", FailureReason=reason[:MAX_REASON_CHARS])
