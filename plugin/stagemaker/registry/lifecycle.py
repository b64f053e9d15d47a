"""Lifecycle policies: PutLifecyclePolicy and its kin. Their meaning: lifecycle_plan.py; their time: Catalog.expire."""

from collections.abc import Callable
from typing import Any

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record
from stagemaker.registry.catalog import Catalog, candidates, tags_of
from stagemaker.registry.errors import invalid, policy_missing
from stagemaker.registry.image_ids import Failure, find_image
from stagemaker.registry.lifecycle_plan import PolicyInvalid, expired, read_policy
from stagemaker.registry.paging import page, refuse_foreign


class Lifecycle:
    """The operations."""

    def __init__(self, catalog: Catalog, clock: Callable[[], float]) -> None:
        self._catalog, self._clock = catalog, clock

    def put_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Keep the policy and apply it at once. When that fails, the policy stays, and is applied later."""
        self._find(scope, request)
        name, text = request["repositoryName"], request["lifecyclePolicyText"]
        _check(text)
        with self._catalog.alone(scope, name):
            self._catalog.update(scope, name, Lifecycle=text, LifecycleEvaluatedAt=self._clock())
            self._catalog.expire(scope, name)
        return {"registryId": scope.account, "repositoryName": name, "lifecyclePolicyText": text}

    def get_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """As it was put, and when it was last applied."""
        record = self._find(scope, request)
        if not record.get("Lifecycle"):
            raise policy_missing(scope, request["repositoryName"], "Lifecycle")
        return {
            "registryId": scope.account,
            "repositoryName": request["repositoryName"],
            "lifecyclePolicyText": record["Lifecycle"],
            "lastEvaluatedAt": record["LifecycleEvaluatedAt"],
        }

    def delete_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Answers what was deleted."""
        refuse_foreign(scope, request)
        with self._catalog.alone(scope, request["repositoryName"]):
            answer = self.get_lifecycle_policy(scope, request)
            self._catalog.update(scope, request["repositoryName"], Lifecycle=None)
        return answer

    def start_lifecycle_policy_preview(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Of the given policy, else of the repository's own; deletes nothing, and is done at once."""
        record, name = self._find(scope, request), request["repositoryName"]
        text = request.get("lifecyclePolicyText") or record.get("Lifecycle")
        if not text:
            raise policy_missing(scope, name, "Lifecycle")
        _check(text)
        results = _preview(record, text, self._clock())
        self._catalog.update(scope, name, Preview=(text, results))
        named = {"registryId": scope.account, "repositoryName": name}
        return {**named, "lifecyclePolicyText": text, "status": "IN_PROGRESS"}

    def get_lifecycle_policy_preview(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """What the last StartLifecyclePolicyPreview found."""
        record, name = self._find(scope, request), request["repositoryName"]
        if "Preview" not in record:
            raise ApiError(
                "LifecyclePolicyPreviewNotFoundException",
                f"There is no lifecycle policy preview for the repository with name '{name}' in the registry with id "
                f"'{scope.account}'",
            )
        text, results = record["Preview"]
        wanted = {key: result for key, result in results.items() if _is_wanted(record, result, request)}
        found, more = page(wanted, request)
        return {
            "registryId": scope.account,
            "repositoryName": name,
            "lifecyclePolicyText": text,
            "status": "COMPLETE",
            "previewResults": found,
            "summary": {"expiringImageTotalCount": len(results)},
            **more,
        }

    def _find(self, scope: Scope, request: dict[str, Any]) -> Record:
        refuse_foreign(scope, request)
        return self._catalog.repository(scope, request["repositoryName"])


def _check(text: str) -> None:
    try:
        read_policy(text)
    except PolicyInvalid as error:
        raise invalid(
            "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
            f"failure: {error}'"
        ) from None


def _preview(record: Record, text: str, now: float) -> dict[str, dict[str, Any]]:
    found = expired(read_policy(text), candidates(record, now), now)
    return {
        digest: {
            "imageDigest": digest,
            "imageTags": tags_of(record, digest),
            "imagePushedAt": record["Images"][digest].pushed_at,
            "action": {"type": "EXPIRE"},
            "appliedRulePriority": priority,
        }
        for digest, priority in found.items()
    }


def _is_wanted(record: Record, result: dict[str, Any], request: dict[str, Any]) -> bool:
    status = request.get("filter", {}).get("tagStatus", "ANY")
    if status not in ("ANY", "TAGGED" if result["imageTags"] else "UNTAGGED"):
        return False
    ids = [find_image(record, image_id) for image_id in request.get("imageIds", [])]
    digests = [image.digest for image in ids if not isinstance(image, Failure)]
    return not ids or result["imageDigest"] in digests
