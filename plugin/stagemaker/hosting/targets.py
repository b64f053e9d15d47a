"""Pure: how many instances and which share of the requests each variant of an endpoint is to have; of a serverless
variant, how many containers it keeps, and how many requests it takes at once.

The targets live in the endpoint's record and nowhere else: who changes them there has nothing more to do, since the
fleets follow the record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.errors import validation_error
from stagemaker.core.store import Record
from stagemaker.hosting.serverless import MEMBER, UPDATE, check_concurrency, is_serverless, provisioned

SHADOWS = "ShadowProductionVariants"
COUNT, WEIGHT = "DesiredInstanceCount", "DesiredWeight"  # VariantPropertyType; AWS does not support DataCaptureConfig
DEFAULT_WEIGHT = 1.0  # AWS's, where InitialVariantWeight is left out


@dataclass(frozen=True)
class VariantTarget:
    """`count` instances; a share of the requests in proportion to `weight`. A serverless variant has `max_concurrency`
    requests at once, and always `count` containers (ProvisionedConcurrency)."""

    count: int
    weight: float
    max_concurrency: int | None = None


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
    variants = (*config["ProductionVariants"], *config.get(SHADOWS, ()))
    return {variant["VariantName"]: _initial(variant) for variant in variants}


def _initial(variant: Mapping[str, Any]) -> VariantTarget:
    weight = float(variant.get("InitialVariantWeight", DEFAULT_WEIGHT))
    if is_serverless(variant):
        return VariantTarget(provisioned(variant[MEMBER]), weight, variant[MEMBER]["MaxConcurrency"])
    return VariantTarget(variant["InitialInstanceCount"], weight)


def retained_targets(initial: Targets, current: Targets, request: Mapping[str, Any]) -> dict[str, VariantTarget]:
    """`initial` with what an UpdateEndpoint request retains of `current`, for variants of the same name:
    RetainAllVariantProperties but for ExcludeRetainedVariantProperties. A serverless variant retains no count, and its
    count is retained by none: it has no DesiredInstanceCount."""
    if not request.get("RetainAllVariantProperties"):
        return dict(initial)
    listed = request.get("ExcludeRetainedVariantProperties", ())
    excluded = {each["VariantPropertyType"] for each in listed}
    retained = dict(initial)
    for name in initial.keys() & current.keys():
        if WEIGHT not in excluded:
            retained[name] = replace(retained[name], weight=current[name].weight)
        if COUNT not in excluded and {initial[name].max_concurrency, current[name].max_concurrency} == {None}:
            retained[name] = replace(retained[name], count=current[name].count)
    return retained


def sized(targets: Targets, counts: Mapping[str, int]) -> dict[str, VariantTarget]:
    """`targets` with other counts for the variants that `counts` names."""
    return {name: replace(target, count=counts.get(name, target.count)) for name, target in targets.items()}


def changed_targets(
    targets: Targets, changes: Sequence[Mapping[str, Any]], *, least: int = 1
) -> dict[str, VariantTarget]:
    """`targets` after the DesiredWeightsAndCapacities of a request.

    ValidationException for a variant that is not there or named twice, for the capacity of more than one (AWS's rule),
    for less than `least` instances, since AWS scales only asynchronous endpoints to zero, and for a
    ServerlessUpdateConfig of a variant that is not serverless or that contradicts itself.
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
    weight = float(change.get("DesiredWeight", target.weight))
    if target.max_concurrency is not None:
        return _changed_serverless(target.count, target.max_concurrency, change, weight)
    if UPDATE in change:
        raise validation_error(f"{UPDATE} is given for variant {change['VariantName']}, which is not serverless.")
    count = change.get("DesiredInstanceCount", target.count)
    if count < least:
        raise validation_error(
            f"DesiredInstanceCount of production variant {change['VariantName']} must be at least 1: "
            "a real-time endpoint cannot be scaled to zero."
        )
    return VariantTarget(count, weight)


def _changed_serverless(kept: int, most: int, change: Mapping[str, Any], weight: float) -> VariantTarget:
    name, update = change["VariantName"], change.get(UPDATE, {})
    if "DesiredInstanceCount" in change:
        raise validation_error(f"Variant {name} is serverless: it has no DesiredInstanceCount, but {UPDATE}.")
    kept, most = update.get("ProvisionedConcurrency", kept), update.get("MaxConcurrency", most)
    check_concurrency(name, most, kept)
    return VariantTarget(kept, weight, most)


def _read(written: Mapping[str, Mapping[str, Any]]) -> dict[str, VariantTarget]:
    return {
        name: VariantTarget(target["Count"], target["Weight"], target.get("MaxConcurrency"))
        for name, target in written.items()
    }


def _written(targets: Targets) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "Count": target.count,
            "Weight": target.weight,
            **({} if target.max_concurrency is None else {"MaxConcurrency": target.max_concurrency}),
        }
        for name, target in targets.items()
    }
