"""The life of an endpoint's fleets: each has a task that brings it into service, keeps it there and ends it.

An endpoint is InService only when every instance of its fleet answered /ping with 200, and Failed only when nothing of
the fleet is left running. The record of a deleted endpoint stays, as Deleting, until that is so.
"""

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from stagemaker.core.disk import explain
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.core.store import Change, Store
from stagemaker.hosting.context import EndpointAccount, FleetContext
from stagemaker.hosting.data_capture import DataCapture
from stagemaker.hosting.endpoint_fleets import EndpointFleets
from stagemaker.hosting.fleet import Fleet, FleetFailed
from stagemaker.hosting.layout import FleetLayout
from stagemaker.hosting.records import existing
from stagemaker.hosting.rollout import ALL_AT_ONCE, Rollout
from stagemaker.hosting.router import Router
from stagemaker.hosting.serverless_fleet import ServerlessFleet
from stagemaker.hosting.shadow import ShadowCopies
from stagemaker.hosting.targets import Desired, Targets, sized
from stagemaker.hosting.traffic_shift import MAX_REASON_CHARS, RolloutFailed, TrafficShift
from stagemaker.hosting.variant_status import launching

LOG = logging.getLogger(__name__)


class Fleets:
    """Every fleet, by endpoint. `launch`, `cancel` and `change` are called with the store's lock held."""

    def __init__(self, store: Store, context: FleetContext, account: EndpointAccount) -> None:
        self._store, self._context, self._account = store, context, account
        self._endpoints: dict[Ref, EndpointFleets] = {}
        store.watch(ENDPOINT, self._follow_targets)

    def launch(self, ref: Ref, layout: FleetLayout, targets: Targets, rollout: Rollout = ALL_AT_ONCE) -> None:
        """Start a fleet; when it is healthy it takes the place of what serves, if anything does, as the rollout says.
        `targets` are those at its end."""
        endpoint = self._endpoints.get(ref) or EndpointFleets()
        context = replace(self._context, source_arn=ref.arn)
        make = ServerlessFleet if layout.is_serverless else Fleet
        fleet = make(layout, sized(targets, rollout.steps[0].new), ref.scope, context)
        fleet.stage = launching(fleet.launched, fleet.created_s)
        old = endpoint.serving.targets if endpoint.serving else {}
        shift = TrafficShift(
            ref, endpoint, fleet, rollout, old, targets, self._context, self._account, self._store.lock,
            partial(self.change, ref),
        )  # fmt: skip
        self._context.supervisor.start(f"endpoint {ref.name}", partial(self._run, ref, shift), cancel=fleet.cancel)
        self._endpoints[ref] = endpoint
        endpoint.fleets.add(fleet)
        endpoint.coming, endpoint.goal = fleet, targets
        fleet.beside = endpoint.serving is not None

    def router(self, ref: Ref) -> Router[Fleet] | None:
        """Who takes the endpoint's requests; None when nothing runs for it."""
        endpoint = self._endpoints.get(ref)
        return endpoint.router if endpoint else None

    def serving(self, ref: Ref) -> Fleet | None:
        """The fleet that is in service, or that just was and ends; if there is one."""
        endpoint = self._endpoints.get(ref)
        return endpoint.described if endpoint else None

    def coming(self, ref: Ref) -> tuple[Fleet, Targets] | None:
        """The fleet that is to serve when it is healthy, if there is one, and what it is to be then."""
        endpoint = self._endpoints.get(ref)
        return (endpoint.coming, endpoint.goal) if endpoint and endpoint.coming else None

    def cancel(self, ref: Ref) -> bool:
        """Make every fleet of the endpoint answer what it has and stop; whether there is one. The last one forgets a
        Deleting endpoint."""
        endpoint = self._endpoints.get(ref)
        if endpoint is None:
            return False
        endpoint.settle({})
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

    def _run(self, ref: Ref, shift: TrafficShift) -> None:
        """The life of a fleet, in its own thread."""
        reason, fleet, shadow = None, shift.fleet, shift.fleet.layout.shadow
        copies = ShadowCopies(fleet, shadow, ref.scope, self._context) if shadow else None
        capture = self._capture(ref, fleet)
        try:
            if capture:
                capture.start()
                fleet.capture = capture
            if copies:
                copies.start()
                fleet.copies = copies
            if self._come(ref, shift):
                self._keep(ref, fleet)
        except Exception as error:  # noqa: BLE001 - it becomes the endpoint's FailureReason
            if not self._context.supervisor.closing:  # which makes everything fail
                reason = _reason(ref, error)
        was_coming = self._leave_service(ref, fleet)
        try:
            fleet.stop()
            if reason:
                self._context.logs.flush()  # whoever sees it finds all of the logs
        finally:
            if copies:
                copies.end()
            if capture:
                capture.end()
            self._end(ref, fleet, reason, was_coming=was_coming)

    def _capture(self, ref: Ref, fleet: Fleet) -> DataCapture | None:
        config = fleet.layout.capture
        if config is None or not config.enabled:
            return None
        variant = fleet.layout.variants[0]
        account = self._account.under(variant.role_arn, variant.subnet)
        return DataCapture(config, ref.name, ref.scope, account, self._context.supervisor)

    def _come(self, ref: Ref, shift: TrafficShift) -> bool:
        """Bring it into service; False when it was cancelled before. When that fails, and what was in service before
        cannot be restored either, it stays in service beside that; else the error is raised."""
        try:
            return shift.run()
        except Exception as error:
            if shift.back(_reason(ref, error)):
                raise
        return True

    def _keep(self, ref: Ref, fleet: Fleet) -> None:
        """Make the fleet follow its targets until it is cancelled; raises when it has no healthy instance left."""
        while not fleet.cancelled:
            try:
                fleet.reconcile()
            except Exception as error:
                if not self._roll_back(ref, fleet, error):
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

    def _roll_back(self, ref: Ref, fleet: Fleet, error: Exception) -> bool:
        """Restore the targets before the last change; False when there is none under way, or only its rollback. The
        rollback of a rollout is told that it has failed."""
        with self._store.lock:
            endpoint = self._endpoints[ref]
            if endpoint.rolling_back and fleet is endpoint.serving and fleet.serves:
                endpoint.rollback_failure = _reason(ref, error)
                return True
            desired = Desired.of(existing(self._store, ref))
            if desired.former is None or desired.rollback_reason:
                return False
            former = Desired(desired.former, former=desired.former, rollback_reason=_reason(ref, error))
            self.change(ref, "RollingBack", **former.members())
        return True

    def _leave_service(self, ref: Ref, fleet: Fleet) -> bool:
        """Send it no more requests; what is said of the endpoint while it stops. Whether it was to serve instead of
        others, which now stay in service."""
        with self._store.lock:
            endpoint = self._endpoints[ref]
            if not fleet.cancelled and endpoint.coming is None and list(endpoint.in_service) == [fleet]:
                self.change(ref, "OutOfService")
            was, coming = endpoint.serving, endpoint.coming
            endpoint.drop(fleet)
            if endpoint.serving and endpoint.serving is not was:  # the other one after an UpdateRollbackFailed
                desired = Desired(endpoint.serving.targets, coming=coming.targets if coming else None)
                status, config = existing(self._store, ref)["EndpointStatus"], endpoint.serving.layout.config
                self.change(ref, status, EndpointConfigName=config, **desired.members())
            return coming is fleet

    def _end(self, ref: Ref, fleet: Fleet, reason: str | None, *, was_coming: bool) -> None:
        """Nothing of the fleet is left: what becomes of the endpoint."""
        with self._store.lock:
            endpoint, record = self._endpoints[ref], existing(self._store, ref)
            endpoint.fleets.remove(fleet)
            if reason and not fleet.cancelled:
                endpoint.failure = reason
            if not endpoint.fleets:
                del self._endpoints[ref]
            if record["EndpointStatus"] == "Deleting":
                if not endpoint.fleets:
                    self._store.delete(ref)
            elif endpoint.failure and not endpoint.fleets:
                self.change(ref, "Failed", FailureReason=endpoint.failure)
            elif reason and not fleet.cancelled and endpoint.serving and endpoint.coming is None:
                endpoint.failure = ""
                if was_coming or record["EndpointStatus"] == "UpdateRollbackFailed":
                    status = "InService" if len(endpoint.in_service) == 1 else "UpdateRollbackFailed"
                    serving = Desired(Desired.of(record).serving)
                    self.change(ref, status, FailureReason=reason, **serving.members())


def _reason(ref: Ref, error: Exception) -> str:
    if isinstance(error, FleetFailed | RolloutFailed):
        return str(error)[:MAX_REASON_CHARS]
    LOG.error("endpoint %s", ref.name, exc_info=error)
    return f"Request to service failed: {type(error).__name__}: {explain(error)}"[:MAX_REASON_CHARS]
