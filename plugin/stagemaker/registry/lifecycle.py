"""Lifecycle policies: PutLifecyclePolicy and its kin. Their meaning: lifecycle_plan.py; their time: Catalog.expire."""

from collections.abc import Callable
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record
from stagemaker.registry.catalog import Catalog, candidates, images, named, tags_of
from stagemaker.registry.errors import invalid_at, policy_missing
from stagemaker.registry.image_ids import Failure, find_image
from stagemaker.registry.lifecycle_plan import PolicyInvalid, expired, read_policy
from stagemaker.registry.paging import page


class Lifecycle:
    """The operations."""

    def __init__(self, catalog: Catalog, clock: Callable[[], float]) -> None:
        self._catalog, self._clock = catalog, clock

    def put_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Keep the policy and apply it at once. When that fails, the policy stays, and is applied later."""
        (ref, _), text = self._catalog.asked_for(scope, request), request["lifecyclePolicyText"]
        _check(text)
        with self._catalog.alone(ref):
            self._catalog.keep(ref, Lifecycle=text, LifecycleEvaluatedAt=self._clock())
            self._catalog.expire(ref)
        return {**named(ref), "lifecyclePolicyText": text}

    def get_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """As it was put, and when it was last applied."""
        ref, record = self._catalog.asked_for(scope, request)
        kept = record[OWN]
        if not kept.get("Lifecycle"):
            raise policy_missing(ref, "Lifecycle")
        return {
            **named(ref),
            "lifecyclePolicyText": kept["Lifecycle"],
            "lastEvaluatedAt": kept["LifecycleEvaluatedAt"],
        }

    def delete_lifecycle_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Answers what was deleted."""
        ref, _ = self._catalog.asked_for(scope, request)
        with self._catalog.alone(ref):
            deleted = self.get_lifecycle_policy(scope, request)
            self._catalog.keep(ref, Lifecycle=None)
        return deleted

    def start_lifecycle_policy_preview(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Of the given policy, else of the repository's own; deletes nothing, and is done at once."""
        ref, record = self._catalog.asked_for(scope, request)
        text = request.get("lifecyclePolicyText") or record[OWN].get("Lifecycle")
        if not text:
            raise policy_missing(ref, "Lifecycle")
        _check(text)
        results = _preview(record, text, self._clock())
        self._catalog.keep(ref, Preview={"lifecyclePolicyText": text, "previewResults": results})
        return {**named(ref), "lifecyclePolicyText": text, "status": "IN_PROGRESS"}

    def get_lifecycle_policy_preview(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """What the last StartLifecyclePolicyPreview found."""
        ref, record = self._catalog.asked_for(scope, request)
        if "Preview" not in record[OWN]:
            raise ApiError(
                "LifecyclePolicyPreviewNotFoundException",
                f"There is no lifecycle policy preview for the repository with name '{ref.name}' in the registry with "
                f"id '{scope.account}'",
            )
        preview = record[OWN]["Preview"]
        results = preview["previewResults"]
        wanted = {key: result for key, result in results.items() if _is_wanted(record, result, request)}
        found, more = page(wanted, request)
        return {
            **named(ref),
            "lifecyclePolicyText": preview["lifecyclePolicyText"],
            "status": "COMPLETE",
            "previewResults": found,
            "summary": {"expiringImageTotalCount": len(results)},
            **more,
        }


def _check(text: str) -> None:
    try:
        read_policy(text)
    except PolicyInvalid as error:
        raise invalid_at("LifecyclePolicyText", f"Lifecycle policy validation failure: {error}") from None


def _preview(record: Record, text: str, now: float) -> dict[str, dict[str, Any]]:
    found, there = expired(read_policy(text), candidates(record, now), now), images(record)
    return {
        digest: {
            "imageDigest": digest,
            "imageTags": tags_of(record, digest),
            "imagePushedAt": there[digest].pushed_at,
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
