"""Scaling activities: what was done, or why nothing was, in the words seen on AWS."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stagemaker.api.operation import Request, Response
from stagemaker.core.kinds import SCALING_ACTIVITY
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.decision import NOT_SCALED, NotScaledReason
from stagemaker.scaling.paging import Place, page
from stagemaker.scaling.resources import ScalableResource, check_service
from stagemaker.scaling.targets import is_of, matching

KEPT_S = 6 * 7 * 24 * 3600  # AWS's: six weeks
MAX_KEPT = 10_000  # (ours) of a scope


@dataclass(frozen=True)
class Activities:
    """DescribeScalingActivities, and what the loop records."""

    store: Store
    clock: Callable[[], float]
    compression: Compression

    def describe_scaling_activities(self, scope: Scope, request: Request) -> Response:
        """Newest first; those that scaled nothing only with IncludeNotScaledActivities."""
        check_service(request)
        resource_id = request.get("ResourceId")
        found = matching(self.store.all(scope, SCALING_ACTIVITY), request, [resource_id] if resource_id else None)
        if not request.get("IncludeNotScaledActivities"):
            found = [record for record in found if "NotScaledReasons" not in record]
        oldest_s = self.clock() - KEPT_S
        found = [record for record in found if record["StartTime"] >= oldest_s]
        shown, more = page(found, request, "activities", _place, newest_first=True)
        return {"ScalingActivities": [dict(record) for record in shown], **more}

    def begin(self, scope: Scope, resource: ScalableResource, description: str, cause: str) -> Ref:
        """Record one that is Pending."""
        ref = Ref(scope, SCALING_ACTIVITY, str(uuid.uuid4()))
        self._put(ref, resource, Description=description, Cause=cause, StatusCode="Pending")
        return ref

    def follow(self, ref: Ref, message: str) -> None:
        """The service has taken the change."""
        self.store.update(ref, StatusCode="InProgress", StatusMessage=message)

    def end(self, ref: Ref, status: str, message: str) -> None:
        """It is Successful or Failed."""
        self.store.update(ref, StatusCode=status, StatusMessage=message, EndTime=self.clock())

    def not_scaled(
        self, scope: Scope, resource: ScalableResource, cause: str, reasons: tuple[NotScaledReason, ...]
    ) -> None:
        """Record why an alarm led to nothing; once, as long as that is the newest of the resource (ours)."""
        described = [reason.described() for reason in reasons]
        mine = [record for record in self.store.all(scope, SCALING_ACTIVITY) if is_of(record, resource)]
        if mine and (mine[-1]["Cause"], mine[-1].get("NotScaledReasons")) == (cause, described):
            return
        ref = Ref(scope, SCALING_ACTIVITY, str(uuid.uuid4()))
        ended = {"StatusCode": "Failed", "EndTime": self.clock(), "NotScaledReasons": described}
        self._put(ref, resource, Description=NOT_SCALED, Cause=cause, **ended)

    def _put(self, ref: Ref, resource: ScalableResource, **members: Any) -> None:
        details = {"Details": f"Stagemaker: {self.compression.sentence}"} if self.compression.sentence else {}
        record = {"ActivityId": ref.name, **resource.members, "StartTime": self.clock(), **members, **details}
        with self.store.lock:
            for old in self.store.all(ref.scope, SCALING_ACTIVITY)[: -MAX_KEPT + 1]:
                self.store.delete(Ref(ref.scope, SCALING_ACTIVITY, old["ActivityId"]))
            self.store.put(ref, record)


def _place(record: Record) -> Place:
    return record["StartTime"], record["ActivityId"]
