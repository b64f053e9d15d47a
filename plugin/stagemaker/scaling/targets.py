"""Scalable targets: what may be scaled, between which capacities, and their tags."""

from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.operation import Request, Response
from stagemaker.api.tags import MAX_TAGS, RESERVED, has_reserved
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import ENDPOINT, SCALABLE_TARGET, SCALING_POLICY, SCHEDULED_ACTION
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import Change, Record, Store
from stagemaker.scaling.paging import Place, page, summary
from stagemaker.scaling.resources import OF_VARIANTS, ScalableResource, check_service, resource_of
from stagemaker.scaling.scalables import Scalable

MAX_TARGETS = 500  # AWS's quota for a service in a region
SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class ScalableTargets:
    """RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget, and the tags of targets.

    `scalables` are by dimension. `discard_alarms` has alarms deleted soon. `changed` is called after each change that
    may ask for another capacity."""

    def __init__(
        self,
        store: Store,
        scalables: Mapping[str, Scalable],
        clock: Callable[[], float],
        discard_alarms: Callable[[Scope, list[str]], None],
        changed: Callable[[], None],
    ) -> None:
        self._store, self._scalables, self._clock = store, scalables, clock
        self._discard_alarms, self._changed = discard_alarms, changed

    def register_scalable_target(self, scope: Scope, request: Request) -> Response:
        """Create or change a target; what a change leaves out stays. A capacity outside of the new range is corrected
        at once.

        ValidationException for a resource that is not there and for a range that is none; LimitExceededException for
        more than MAX_TARGETS of a service."""
        resource = resource_of(request)
        ref = resource.target(scope)
        if self._store.get(ref) is None and self._scalables[resource.dimension].capacity(scope, resource) is None:
            raise validation_error(f"The resource is not there, or not in service: {resource}")
        tags = dict(request.get("Tags", {}))
        _check_tags(ref, tags)
        with self._store.lock:
            old = self._store.get(ref)
            if old is None:
                self._check_quota(scope, resource)
            low, high = _range(request, old or {})
            self._store.put(
                ref,
                {
                    **resource.members,
                    "MinCapacity": low,
                    "MaxCapacity": high,
                    "RoleARN": resource.role_arn(scope),
                    "CreationTime": old["CreationTime"] if old else self._clock(),
                    "SuspendedState": {
                        **(old["SuspendedState"] if old else dict.fromkeys(SUSPENSIONS, False)),
                        **request.get("SuspendedState", {}),
                    },
                    "ScalableTargetARN": ref.arn,
                    "Tags": _tag_list({**_tag_map(old or {}), **tags}),
                },
            )
        self._changed()
        return {"ScalableTargetARN": ref.arn}

    def describe_scalable_targets(self, scope: Scope, request: Request) -> Response:
        """Oldest first. ValidationException for a dimension without resources."""
        check_service(request)
        found = matching(self._store.all(scope, SCALABLE_TARGET), request, request.get("ResourceIds"))
        shown, more = page(found, request, "targets", _place, newest_first=False)
        return {"ScalableTargets": [summary(record, ("Tags",)) for record in shown], **more}

    def deregister_scalable_target(self, scope: Scope, request: Request) -> Response:
        """Forget a target with its policies, their alarms and its scheduled actions. ObjectNotFoundException when there
        is none."""
        resource = resource_of(request)
        with self._store.lock:
            registered(self._store, scope, resource)
            self.forget(scope, resource)
        return {}

    def forget(self, scope: Scope, resource: ScalableResource) -> None:
        """As `deregister_scalable_target`, where there may be none. It does not wait."""
        with self._store.lock:
            for kind in (SCALING_POLICY, SCHEDULED_ACTION):
                for ref, record in belonging(self._store, scope, kind, resource):
                    self._store.delete(ref)
                    if alarms := [alarm["AlarmName"] for alarm in record.get("Alarms", [])]:
                        self._discard_alarms(scope, alarms)
            self._store.delete(resource.target(scope))

    def tag_resource(self, scope: Scope, request: Request) -> Response:
        """Set tags of a target. ResourceNotFoundException when there is none; TooManyTagsException above MAX_TAGS."""
        with self._store.lock:
            ref, record = self._tagged(scope, request)
            tags = {**_tag_map(record), **request["Tags"]}
            _check_tags(ref, tags)
            self._store.update(ref, Tags=_tag_list(tags))
        return {}

    def untag_resource(self, scope: Scope, request: Request) -> Response:
        """Remove tags by key; keys that are not there are no error."""
        with self._store.lock:
            ref, record = self._tagged(scope, request)
            kept = {key: value for key, value in _tag_map(record).items() if key not in request["TagKeys"]}
            self._store.update(ref, Tags=_tag_list(kept))
        return {}

    def list_tags_for_resource(self, scope: Scope, request: Request) -> Response:
        """All of them."""
        return {"Tags": _tag_map(self._tagged(scope, request)[1])}

    def _tagged(self, scope: Scope, request: Request) -> tuple[Ref, Record]:
        arn = request["ResourceARN"]
        found = self._store.find(arn)
        if found is None or found[0].scope != scope or found[0].kind != SCALABLE_TARGET:
            message = f"The scalable target {arn} does not exist."
            raise ApiError("ResourceNotFoundException", message, members={"ResourceName": arn})
        return found

    def _check_quota(self, scope: Scope, resource: ScalableResource) -> None:
        there = self._store.all(scope, SCALABLE_TARGET)
        if sum(record["ServiceNamespace"] == resource.service for record in there) >= MAX_TARGETS:
            sentence = f"The service namespace {resource.service} has {MAX_TARGETS} scalable targets, and no more fit."
            raise ApiError("LimitExceededException", sentence)


def registered(store: Store, scope: Scope, resource: ScalableResource) -> Record:
    """The target's record; ObjectNotFoundException, in AWS's words, when there is none."""
    record = store.get(resource.target(scope))
    if record is None:
        raise ApiError("ObjectNotFoundException", f"No scalable target registered for {resource}")
    return record


def belonging(store: Store, scope: Scope, kind: Kind, resource: ScalableResource) -> list[tuple[Ref, Record]]:
    """The policies or the scheduled actions of a target."""
    records = store.everywhere(kind)
    return [(ref, record) for ref, record in records if ref.scope == scope and is_of(record, resource)]


def is_of(record: Record, resource: ScalableResource) -> bool:
    """Whether a record is about this resource."""
    return all(record[member] == value for member, value in resource.members.items())


def matching(records: list[Record], request: Request, resource_ids: list[str] | None) -> list[Record]:
    """Those that a Describe operation asks for by ServiceNamespace, resource and ScalableDimension."""
    dimension = request.get("ScalableDimension")
    if dimension and not resource_ids:
        raise validation_error("A scalable dimension is only taken together with a resource ID.")
    return [
        record
        for record in records
        if record["ServiceNamespace"] == request["ServiceNamespace"]
        and (not resource_ids or record["ResourceId"] in resource_ids)
        and (not dimension or record["ScalableDimension"] == dimension)
    ]


def _range(request: Request, old: Mapping[str, Any]) -> tuple[int, int]:
    found = [request.get(member, old.get(member)) for member in ("MinCapacity", "MaxCapacity")]
    low, high = found
    if low is None or high is None:
        raise validation_error("MinCapacity and MaxCapacity are required for a new scalable target.")
    check_range(low, high)
    return low, high


def check_range(low: int, high: int) -> None:
    """ValidationException for a range that is none."""
    if low < 0 or high < 0:
        raise validation_error("Minimum and maximum capacity cannot be less than 0.")
    if low > high:
        raise validation_error("Maximum capacity cannot be less than minimum capacity")


def _check_tags(ref: Ref, tags: Mapping[str, str]) -> None:
    if has_reserved(_tag_list(tags)):
        raise validation_error(RESERVED)
    if len(tags) > MAX_TAGS:
        message = f"A scalable target takes at most {MAX_TAGS} tags."
        raise ApiError("TooManyTagsException", message, members={"ResourceName": ref.arn})


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tag_map(record: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}


def _place(record: Record) -> Place:
    return record["CreationTime"], f"{record['ResourceId']} {record['ScalableDimension']}"


def forget_with_endpoints(store: Store, targets: ScalableTargets) -> None:
    """Have the targets of an endpoint's variants go when it is deleted, as AWS does without a word."""

    def tell(change: Change) -> None:
        if change.after is not None and change.after["EndpointStatus"] != "Deleting":
            return
        endpoint = change.ref
        for record in store.all(endpoint.scope, SCALABLE_TARGET):
            resource = resource_of(record)
            if resource.dimension in OF_VARIANTS and resource.parts[0] == endpoint.name:
                targets.forget(endpoint.scope, resource)

    store.watch(ENDPOINT, tell)
