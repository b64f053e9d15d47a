"""Pure: how many instances and which share of the requests each variant of an endpoint is to have.

The targets live in the endpoint's record and nowhere else: who changes them there has nothing more to do, since the
fleets follow the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.errors import validation_error
from stagemaker.core.store import Record

SHADOWS = "ShadowProductionVariants"
COUNT, WEIGHT = "DesiredInstanceCount", "DesiredWeight"  # VariantPropertyType; AWS does not support DataCaptureConfig
DEFAULT_WEIGHT = 1.0  # AWS's, where InitialVariantWeight is left out


@dataclass(frozen=True)
class VariantTarget:
    """`count` instances; a share of the requests in proportion to `weight`."""

    count: int
    weight: float


Targets = Mapping[str, VariantTarget]  # by the variant's name


@dataclass(frozen=True)
class Desired:
    """What an endpoint is to run, as its record keeps it."""

    serving: Targets  # of the fleet that serves, or of the first one
    coming: Targets | None = None  # of the fleet that UpdateEndpoint starts, until it serves
    former: Targets | None = None  # while weights or counts change: what `serving` was before
    rollback_reason: str = ""  # why `serving` is again what it was

    @classmethod
    def of(cls, record: Record) -> "Desired":
        """What the record keeps."""
        own = record[OWN]
        return cls(
            serving=_read(own["Targets"]),
            coming=_read(own["ComingTargets"]) if "ComingTargets" in own else None,
            former=_read(own["FormerTargets"]) if "FormerTargets" in own else None,
            rollback_reason=own.get("RollbackReason", ""),
        )

    def members(self) -> dict[str, Any]:
        """The members of the record that `of` reads."""
        own: dict[str, Any] = {"Targets": _written(self.serving)}
        if self.coming is not None:
            own["ComingTargets"] = _written(self.coming)
        if self.former is not None:
            own["FormerTargets"] = _written(self.former)
        if self.rollback_reason:
            own["RollbackReason"] = self.rollback_reason
        return {OWN: own}


def initial_targets(config: Record) -> dict[str, VariantTarget]:
    """The targets that an endpoint configuration begins with, also of its shadow variant."""
    return {
        variant["VariantName"]: VariantTarget(
            variant["InitialInstanceCount"], float(variant.get("InitialVariantWeight", DEFAULT_WEIGHT))
        )
        for variant in (*config["ProductionVariants"], *config.get(SHADOWS, ()))
    }


def retained_targets(initial: Targets, current: Targets, request: Mapping[str, Any]) -> dict[str, VariantTarget]:
    """`initial` with what an UpdateEndpoint request retains of `current`, for variants of the same name:
    RetainAllVariantProperties but for ExcludeRetainedVariantProperties."""
    if not request.get("RetainAllVariantProperties"):
        return dict(initial)
    listed = request.get("ExcludeRetainedVariantProperties", ())
    excluded = {each["VariantPropertyType"] for each in listed}
    return {
        name: VariantTarget(
            count=target.count if name not in current or COUNT in excluded else current[name].count,
            weight=target.weight if name not in current or WEIGHT in excluded else current[name].weight,
        )
        for name, target in initial.items()
    }


def sized(targets: Targets, counts: Mapping[str, int]) -> dict[str, VariantTarget]:
    """`targets` with other counts for the variants that `counts` names."""
    return {name: replace(target, count=counts.get(name, target.count)) for name, target in targets.items()}


def changed_targets(
    targets: Targets, changes: Sequence[Mapping[str, Any]], *, least: int = 1
) -> dict[str, VariantTarget]:
    """`targets` after the DesiredWeightsAndCapacities of a request.

    ValidationException for a variant that is not there or named twice, for the capacity of more than one (AWS's rule),
    and for less than `least` instances: AWS scales only asynchronous endpoints to zero.
    """
    names = [change["VariantName"] for change in changes]
    if len(set(names)) < len(names):
        raise validation_error("DesiredWeightsAndCapacities must not name a production variant more than once.")
    if unknown := [name for name in names if name not in targets]:
        raise validation_error(f"The endpoint has no production variant {unknown[0]}.")
    if sum("DesiredInstanceCount" in change for change in changes) > 1:
        raise validation_error("DesiredInstanceCount can be changed for one production variant in a request.")
    return {**targets, **{change["VariantName"]: _changed(targets, change, least) for change in changes}}


def _changed(targets: Targets, change: Mapping[str, Any], least: int) -> VariantTarget:
    target = targets[change["VariantName"]]
    count = change.get("DesiredInstanceCount", target.count)
    if count < least:
        raise validation_error(
            f"DesiredInstanceCount of production variant {change['VariantName']} must be at least 1: "
            "a real-time endpoint cannot be scaled to zero."
        )
    return VariantTarget(count, float(change.get("DesiredWeight", target.weight)))


def _read(written: Mapping[str, Mapping[str, Any]]) -> dict[str, VariantTarget]:
    return {name: VariantTarget(target["Count"], target["Weight"]) for name, target in written.items()}


def _written(targets: Targets) -> dict[str, dict[str, Any]]:
    return {name: {"Count": target.count, "Weight": target.weight} for name, target in targets.items()}
