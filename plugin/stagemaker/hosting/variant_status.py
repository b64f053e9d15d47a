"""Pure: what DescribeEndpoint says of a variant while its fleet comes, takes over and goes (VariantStatus).

AWS source: ProductionVariantStatus of the API reference has the statuses and these sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_MESSAGE_CHARS = 1024  # AWS's limit of a StatusMessage

Counts = Mapping[str, int]  # of instances, by the variant's name


@dataclass(frozen=True)
class VariantStage:
    """What goes on with every variant of a fleet since `since_s` (epoch seconds); `sentence` has `{}` for the number of
    the variant's instances that it is about."""

    status: str
    sentence: str
    counts: Counts = field(default_factory=dict)
    since_s: float = 0.0

    def of(self, variant: str, count: int) -> dict[str, Any]:
        """The entry of VariantStatus of a variant, which has `count` instances unless `counts` names it."""
        message = self.sentence.format(self.counts.get(variant, count))
        return {"Status": self.status, "StatusMessage": message[:MAX_MESSAGE_CHARS], "StartTime": self.since_s}


def launching(counts: Counts, since_s: float) -> VariantStage:
    """The first instances are started."""
    return VariantStage("Creating", "Launching {} instance(s).", counts, since_s)


def scaling(counts: Counts, since_s: float) -> VariantStage:
    """More instances are started."""
    return VariantStage("Updating", "Scaling out desired instance count to {}.", counts, since_s)


def terminating(counts: Counts, since_s: float) -> VariantStage:
    """Instances answer what they have and stop."""
    return VariantStage("Deleting", "Terminating {} instance(s).", counts, since_s)


def activating(capacity: str, counts: Counts, since_s: float) -> VariantStage:
    """Instances get requests."""
    sentence = f"Activating traffic on {capacity} capacity of {{}} instance(s)."
    return VariantStage("ActivatingTraffic", sentence, counts, since_s)


def baking(bake_s: float, member: str, capacity: str, counts: Counts, since_s: float) -> VariantStage:
    """They have requests, and alarms are watched."""
    sentence = (
        f"Baking for {bake_s:.0f} seconds ({member}) with traffic enabled on {capacity} capacity of {{}} instance(s)."
    )
    return VariantStage("Baking", sentence, counts, since_s)
