"""The life of an endpoint's fleets: each has a task that brings it into service, keeps it there and ends it.

An endpoint is InService only when every instance of its fleet answered /ping with 200, and Failed only when nothing of
the fleet is left running. The record of a deleted endpoint stays, as Deleting, until that is so.
"""

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from stagemaker.core.disk import explain
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.core.store import Change, Record, Store
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.fleet import Fleet, FleetFailed
from stagemaker.hosting.layout import FleetLayout
from stagemaker.hosting.records import existing
from stagemaker.hosting.rollout import ALL_AT_ONCE, Schedule, shares
from stagemaker.hosting.router import Router
from stagemaker.hosting.targets import Desired, Targets

LOG = logging.getLogger(__name__)
MAX_REASON_CHARS = 1024  # AWS's limit of FailureReason


@dataclass(eq=False)
class EndpointFleets:
    """What runs for one endpoint. The router may be read by any thread, the rest under the store's lock."""

    router: Router[Fleet] = field(default_factory=Router)
    fleets: set[Fleet] = field(default_factory=set)  # all that have a task
    serving: Fleet | None = None
    coming: Fleet | None = None  # it is to serve when it is healthy


class Fleets:
    """Every fleet, by endpoint. `launch`, `cancel` and `change` are called with the store's lock held."""

    def __init__(self, store: Store, context: FleetContext, schedule: Schedule) -> None:
        self._store, self._context, self._schedule = store, context, schedule
        self._endpoints: dict[Ref, EndpointFleets] = {}
        store.watch(ENDPOINT, self._follow_targets)

    def launch(self, ref: Ref, layout: FleetLayout, targets: Targets) -> None:
        """Start a fleet; when it is healthy it takes the place of the one that serves, if there is one."""
        fleet = Fleet(layout, targets, ref.scope, self._context)
        self._context.supervisor.start(f"endpoint {ref.name}", partial(self._run, ref, fleet), cancel=fleet.cancel)
        endpoint = self._endpoints.setdefault(ref, EndpointFleets())
        endpoint.fleets.add(fleet)
        endpoint.coming = fleet

    def router(self, ref: Ref) -> Router[Fleet] | None:
        """Who takes the endpoint's requests; None when nothing runs for it."""
        endpoint = self._endpoints.get(ref)
        return endpoint.router if endpoint else None

    def serving(self, ref: Ref) -> Fleet | None:
        """The fleet that is in service, if there is one."""
        endpoint = self._endpoints.get(ref)
        return endpoint.serving if endpoint else None

    def coming(self, ref: Ref) -> Fleet | None:
        """The fleet that is to serve when it is healthy, if there is one."""
        endpoint = self._endpoints.get(ref)
        return endpoint.coming if endpoint else None

    def cancel(self, ref: Ref) -> bool:
        """Make every fleet of the endpoint answer what it has and stop; whether there is one. The last one forgets a
        Deleting endpoint."""
        endpoint = self._endpoints.get(ref)
        if endpoint is None:
            return False
        endpoint.serving = endpoint.coming = None
        endpoint.router.set_shares({})
        for fleet in endpoint.fleets:
            fleet.cancel(drain=True)
        return True

    def change(self, ref: Ref, status: str, **changes: Any) -> None:
        """Replace the record. A FailureReason lasts until the next change."""
        old = {key: value for key, value in existing(self._store, ref).items() if key != "FailureReason"}
        now_s = self._context.clock()
        self._store.put(ref, {**old, **changes, "EndpointStatus": status, "LastModifiedTime": now_s})

    def _follow_targets(self, change: Change) -> None:
        """Give the fleets what the record says now."""
        endpoint = self._endpoints.get(change.ref)
        if endpoint is None or change.after is None:
            return
        desired = Desired.of(change.after)
        if endpoint.serving:
            endpoint.serving.set_targets(desired.serving)
        if endpoint.coming:
            endpoint.coming.set_targets(desired.coming or desired.serving)

    def _run(self, ref: Ref, fleet: Fleet) -> None:
        """The life of a fleet, in its own thread."""
        reason = None
        try:
            if self._start(fleet) and self._enter_service(ref, fleet):
                self._keep(ref, fleet)
        except Exception as error:  # noqa: BLE001 - it becomes the endpoint's FailureReason
            if not self._context.supervisor.closing:  # which makes everything fail
                reason = _reason(ref, error)
        self._leave_service(ref, fleet, reason)
        try:
            fleet.stop()
            if reason:
                self._context.logs.flush()  # whoever sees it finds all of the logs
        finally:
            self._end(ref, fleet, reason)

    def _start(self, fleet: Fleet) -> bool:
        """Bring it to its targets for the first time; False when it was cancelled before."""
        while not fleet.cancelled:
            fleet.reconcile()
            if fleet.settled:
                return True
            fleet.wait()
        return False

    def _enter_service(self, ref: Ref, fleet: Fleet) -> bool:
        """Move the requests to it, step by step; False when it was cancelled meanwhile."""
        for step in self._schedule if self.serving(ref) else ALL_AT_ONCE:
            with self._store.lock:
                if fleet.cancelled:
                    return False
                endpoint = self._endpoints[ref]
                endpoint.router.set_shares(shares(endpoint.serving, fleet, step))
            end_s = time.monotonic() + step.wait_s
            while not fleet.cancelled and (left_s := end_s - time.monotonic()) > 0:
                fleet.wait(left_s)
                fleet.reconcile()
        with self._store.lock:
            if fleet.cancelled:
                return False
            endpoint = self._endpoints[ref]
            old, endpoint.serving, endpoint.coming = endpoint.serving, fleet, None
            endpoint.router.set_shares({fleet: 1.0})
            if old:
                old.cancel(drain=True)
            desired = Desired.of(existing(self._store, ref))
            serving = Desired(desired.coming or desired.serving)
            self.change(ref, "InService", EndpointConfigName=fleet.layout.config, **serving.members())
        return True

    def _keep(self, ref: Ref, fleet: Fleet) -> None:
        """Make the fleet follow its targets until it is cancelled; raises when it has no healthy instance left."""
        while not fleet.cancelled:
            try:
                fleet.reconcile()
            except Exception as error:
                if not self._roll_back(ref, error):
                    raise
                continue
            self._finish_change(ref, fleet)
            fleet.wait()

    def _finish_change(self, ref: Ref, fleet: Fleet) -> None:
        """The endpoint is InService again when its fleet is what an operation made its targets."""
        with self._store.lock:
            desired = Desired.of(existing(self._store, ref))
            if desired.former is None or fleet.cancelled or not fleet.settled:
                return
            reason = {"FailureReason": desired.rollback_reason} if desired.rollback_reason else {}
            self.change(ref, "InService", **reason, **Desired(desired.serving).members())

    def _roll_back(self, ref: Ref, error: Exception) -> bool:
        """Restore the targets before the last change; False when there is none under way, or only its rollback."""
        with self._store.lock:
            desired = Desired.of(existing(self._store, ref))
            if desired.former is None or desired.rollback_reason:
                return False
            former = Desired(desired.former, former=desired.former, rollback_reason=_reason(ref, error))
            self.change(ref, "RollingBack", **former.members())
        return True

    def _leave_service(self, ref: Ref, fleet: Fleet, reason: str | None) -> None:
        """Send it no more requests; what is said of the endpoint while it stops."""
        with self._store.lock:
            endpoint, record = self._endpoints[ref], existing(self._store, ref)
            if endpoint.serving is fleet:
                endpoint.serving = None
                if not fleet.cancelled and _is_alone(record):
                    self.change(ref, "OutOfService")
            elif endpoint.coming is fleet:
                endpoint.coming = None
                if reason and not fleet.cancelled and record["EndpointStatus"] == "Updating":
                    self.change(ref, "RollingBack")
            if fleet in endpoint.router.shares:
                left = {other: share for other, share in endpoint.router.shares.items() if other is not fleet}
                endpoint.router.set_shares({endpoint.serving: 1.0} if endpoint.serving else left)

    def _end(self, ref: Ref, fleet: Fleet, reason: str | None) -> None:
        """Nothing of the fleet is left: what becomes of the endpoint."""
        with self._store.lock:
            endpoint, record = self._endpoints[ref], existing(self._store, ref)
            endpoint.fleets.remove(fleet)
            if not endpoint.fleets:
                del self._endpoints[ref]
            if record["EndpointStatus"] == "Deleting":
                if not endpoint.fleets:
                    self._store.delete(ref)
            elif reason and not fleet.cancelled:
                if endpoint.serving:
                    serving = Desired(Desired.of(record).serving)
                    self.change(ref, "InService", FailureReason=reason, **serving.members())
                elif not endpoint.fleets:
                    self.change(ref, "Failed", FailureReason=reason)


def _is_alone(record: Record) -> bool:
    """Whether no other fleet is coming that could take the endpoint's requests."""
    return record["EndpointStatus"] == "InService" or Desired.of(record).former is not None


def _reason(ref: Ref, error: Exception) -> str:
    if isinstance(error, FleetFailed):
        return str(error)[:MAX_REASON_CHARS]
    LOG.error("endpoint %s", ref.name, exc_info=error)
    return f"Request to service failed: {type(error).__name__}: {explain(error)}"[:MAX_REASON_CHARS]
