"""Scheduled actions: when they run, and the range that they give to a scalable target."""

from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.operation import OWN, Request, Response
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import SCHEDULED_ACTION
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.scaling.paging import Place, page, summary
from stagemaker.scaling.resources import check_service, resource_of
from stagemaker.scaling.schedules import parse_schedule
from stagemaker.scaling.targets import belonging, check_range, matching, registered

MAX_ACTIONS = 200  # AWS's quota for a target
KEPT = ("Schedule", "Timezone", "ScalableTargetAction")  # by an update that does not name them


class ScheduledActions:
    """PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction. `changed` is called after each change."""

    def __init__(self, store: Store, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self._store, self._clock, self._changed = store, clock, changed

    def put_scheduled_action(self, scope: Scope, request: Request) -> Response:
        """Create or change an action. An update keeps what it does not name, but for StartTime and EndTime.

        ObjectNotFoundException without a scalable target; ValidationException for a schedule or a range that is none;
        LimitExceededException above MAX_ACTIONS."""
        resource = resource_of(request)
        name = request["ScheduledActionName"]
        ref, now_s = resource.action(scope, name), self._clock()
        with self._store.lock:
            registered(self._store, scope, resource)
            old = self._store.get(ref)
            if old is None and len(belonging(self._store, scope, SCHEDULED_ACTION, resource)) >= MAX_ACTIONS:
                message = f"A scalable target has at most {MAX_ACTIONS} scheduled actions."
                raise ApiError("LimitExceededException", message)
            kept = {member: old[member] for member in KEPT if old and member in old}
            sent = {member: request[member] for member in (*KEPT, "StartTime", "EndTime") if member in request}
            record = {
                "ScheduledActionName": name,
                "ScheduledActionARN": ref.arn,
                **resource.members,
                **kept,
                **sent,
                "CreationTime": old["CreationTime"] if old else now_s,
                OWN: {"LookedAt": now_s},
            }
            _check(record, now_s)
            self._store.put(ref, record)
        self._changed()
        return {}

    def describe_scheduled_actions(self, scope: Scope, request: Request) -> Response:
        """Oldest first."""
        check_service(request)
        resource_id = request.get("ResourceId")
        found = matching(self._store.all(scope, SCHEDULED_ACTION), request, [resource_id] if resource_id else None)
        if names := request.get("ScheduledActionNames"):
            found = [record for record in found if record["ScheduledActionName"] in names]
        shown, more = page(found, request, "actions", _place, newest_first=False)
        return {"ScheduledActions": [summary(record, (OWN,)) for record in shown], **more}

    def delete_scheduled_action(self, scope: Scope, request: Request) -> Response:
        """ObjectNotFoundException when there is none."""
        resource = resource_of(request)
        name = request["ScheduledActionName"]
        ref = resource.action(scope, name)
        with self._store.lock:
            if self._store.get(ref) is None:
                message = f"No scheduled action found for {resource}, scheduled action name: {name}"
                raise ApiError("ObjectNotFoundException", message)
            self._store.delete(ref)
        return {}


def _check(record: Mapping[str, Any], now_s: float) -> None:
    """ValidationException for an action that breaks a rule."""
    if "Schedule" not in record:
        raise validation_error("Schedule is required for a new scheduled action.")
    parse_schedule(record["Schedule"], record.get("Timezone", "UTC"))
    if "Timezone" in record and record["Schedule"].startswith("rate("):
        raise validation_error("A time zone cannot be specified for a rate expression.")
    if "ScalableTargetAction" not in record:
        raise validation_error("ScalableTargetAction must be set")
    target_action = record["ScalableTargetAction"]
    low, high = target_action.get("MinCapacity"), target_action.get("MaxCapacity")
    if low is None and high is None:
        raise validation_error("At least one of minimum capacity and maximum capacity should be provided")
    check_range(low or 0, high if high is not None else low or 0)
    start_s, end_s = record.get("StartTime"), record.get("EndTime")
    if start_s is not None and end_s is not None and start_s >= end_s:
        raise validation_error("StartTime must be before EndTime")
    if end_s is not None and end_s <= now_s:
        raise validation_error("EndTime must be later than now.")


def _place(record: Record) -> Place:
    return record["CreationTime"], f"{record['ResourceId']} {record['ScheduledActionName']}"
