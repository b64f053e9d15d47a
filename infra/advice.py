"""Cheaper ways to do the same, as advice with its reason. Nothing here is applied by itself.

Pure: the rules read the settings and the prices. The figures that they rest on stand below, with where they come from.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from infra import cost, instance_types
from infra.ec2.settings import Ec2Settings
from infra.instance_types import ML, InstanceType
from infra.prices.prices import Key, NoPrices, Prices
from infra.settings import DeploymentSettings, EndpointSettings, TrainingSettings
from ml.config import DEFAULTS

# What a photo takes of memory while every weight of a ResNet-50 is trained in float32, at 224 x 224 pixels: what
# PyTorch keeps for the way back, measured with torch.autograd.graph.saved_tensors_hooks (82.0; EfficientNet-Lite0 75.3,
# MobileNetV3 42.1). Weights, their gradients and Adam's two moments are 0.4 GiB, the libraries of CUDA about 1.
PHOTO_MIB = 82.0
PIXELS = 224
FIXED_GIB = 2.0
SPARE = 1.5  # so many times what is needed, for what was not counted (ours)
# System B measured 0.835 s for a prediction through its endpoint of one ml.m5.large; our serving image takes less.
PREDICTION_S = 0.835
SERVING_GIB = 2.0  # one model and the server before it (ours)
NOTEBOOK = "ml.t3.medium"  # E's
# AWS's own word for what spot can save (https://aws.amazon.com/ec2/spot/), where no price is known.
_UP_TO = "up to 90 % as AWS says, and its price is not known here"


@dataclass(frozen=True)
class Advice:
    """Instead of what `subject` has, use `instead`. `saved` is the part of its price that this saves, None where it is
    not known."""

    subject: str
    instead: str
    reason: str
    saved: float | None


def advice_of(settings: DeploymentSettings, prices: Prices) -> tuple[Advice, ...]:
    """What would do and cost less, as far as the prices of the settings' region say."""
    rules = _Rules(settings, prices)
    jobs = dict.fromkeys(model.training for model in settings.models)
    found = [
        *(advice for training in jobs for advice in rules.training(training)),
        *(advice for model in settings.models for advice in rules.endpoint(model.endpoint)),
        *(rules.host(settings.ec2) if settings.ec2 else ()),
        *(rules.notebook(settings.notebook.instance_type) if settings.notebook else ()),
    ]
    return tuple(dict.fromkeys(found))


def training_gib(settings: DeploymentSettings) -> float:
    """Memory for a training with the largest batch that the settings can give, of a GPU or of an instance without."""
    values = settings.hyperparameters
    batches = [values.get("batch-size", ""), *settings.tuning.ranges.categorical.get("batch-size", ())]
    own = DEFAULTS.get(values.get("fine-tune", ""), DEFAULTS["head"])["batch_size"]  # the trainer's, also for 0
    batch = max((int(text) for text in batches if text.isdecimal()), default=0) or own
    size = values.get("image-size", "")
    pixels = int(size) if size.isdecimal() else PIXELS
    return FIXED_GIB + batch * PHOTO_MIB / 1024 * (pixels / PIXELS) ** 2


class _Rules:
    def __init__(self, settings: DeploymentSettings, prices: Prices) -> None:
        self._settings, self._prices = settings, prices

    def training(self, training: TrainingSettings) -> Iterable[Advice]:
        subject = f"training on {training.instance_type}"
        yield from self._smaller_trainer("training", training.instance_type, subject)
        if not training.spot:
            yield self.spot(subject, training.instance_type, "the job goes on from its last checkpoint")

    def spot(self, subject: str, instance_type: str, after: str) -> Advice:
        """To run on spot instances; `after` says what an interruption does."""
        share = cost.spot_share(self._prices, instance_type, self._settings.region)
        says = f"as on EC2, where it is ${share.spot.usd:g} of ${share.on_demand.usd:g}" if share else _UP_TO
        reason = f"AWS may take the instance back at any time, and {after}; it saves {says}"
        return Advice(subject, "spot", reason, share.saved if share else None)

    def _smaller_trainer(self, usage: str, name: str, subject: str) -> Iterable[Advice]:
        now = instance_types.find(name)
        if now is None:
            return
        needed = training_gib(self._settings)

        def is_enough(one: InstanceType) -> bool:
            memory = one.gpu_gib if now.gpu else one.memory_gib
            alike = bool(one.gpu) == bool(now.gpu) and (now.bursts or not one.bursts)  # training is a steady load
            return alike and one.vcpus >= now.vcpus and memory >= needed * SPARE

        if (found := self._cheapest(usage, name, is_enough)) is None:
            return
        other, saved = found
        batch = f"the training takes about {needed:.0f} GiB at most"
        reason = f"it has {other}, and {batch}"
        if now.gpu and other.gpu != now.gpu:
            times = 1 / (1 - saved)
            reason += f"; by the job it is cheaper unless the {now.gpu} is more than {times:.1f} times as fast"
        yield Advice(subject, f"{_prefix(name)}{other.name}", reason, saved)

    def endpoint(self, endpoint: EndpointSettings) -> Iterable[Advice]:
        """For the load that scaling aims at; without scaling, for one request at a time."""
        name, scaling = endpoint.instance_type, endpoint.scaling
        busy = scaling.target / 60 * PREDICTION_S if scaling else 1.0
        needed = max(1, math.ceil(busy))

        def is_enough(one: InstanceType) -> bool:
            # AWS does not scale T2 (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html).
            return one.vcpus >= needed and one.memory_gib >= SERVING_GIB and not (scaling and one.bursts)

        if (found := self._cheapest("hosting", name, is_enough)) is None:
            return
        other, saved = found
        load = f"{scaling.target:g} requests a minute for each instance" if scaling else "one request at a time"
        reason = f"it has {other}, and {load} of {PREDICTION_S} s, as B measured, keep {needed} of its vCPUs busy"
        if other.bursts:
            reason += "; its processors are not all its own for long, so not for a steady load"
        yield Advice(f"endpoint on {name}", f"{ML}{other.name}", reason, saved)

    def host(self, host: Ec2Settings) -> Iterable[Advice]:
        """Of the EC2 host, which trains as a job does."""
        subject = f"EC2 host on {host.instance_type}"
        yield from self._smaller_trainer("ec2", host.instance_type, subject)
        if host.market != "spot":
            yield self.spot(subject, host.instance_type, "the host keeps its checkpoint in S3")

    def notebook(self, name: str) -> Iterable[Advice]:
        """The notebook only drives: jobs and endpoints have instances of their own."""
        now, small = instance_types.find(name), instance_types.find(NOTEBOOK)
        saved = self._saved("notebook", name, NOTEBOOK)
        if now and small and now != small and now.holds(small) and saved:
            reason = f"it has {small}, and the notebook only drives: training and endpoints run elsewhere"
            yield Advice(f"notebook on {name}", NOTEBOOK, reason, saved)

    def _cheapest(
        self, usage: str, name: str, is_enough: Callable[[InstanceType], bool]
    ) -> tuple[InstanceType, float] | None:
        """The cheapest type that is enough and cheaper than this one, and the part of the price that it saves."""
        enough = (one for one in instance_types.TYPES.values() if is_enough(one))
        saving = ((one, self._saved(usage, name, _prefix(name) + one.name)) for one in enough)
        return max(((one, saved) for one, saved in saving if saved), key=lambda pair: pair[1], default=None)

    def _saved(self, usage: str, name: str, other: str) -> float | None:
        region = self._settings.region
        now, then = self._prices.find(usage, name, region), self._prices.find(usage, other, region)
        return 1 - then.usd / now.usd if now and then and then.usd < now.usd else None


def _prefix(name: str) -> str:
    return ML if name.startswith(ML) else ""


def keys_of(settings: DeploymentSettings) -> list[Key]:
    """Of the prices that the rules read."""
    prices = NoPrices({})
    advice_of(settings, prices)
    return prices.asked


def lines(advice: Iterable[Advice]) -> list[str]:
    """For the reader: each with its reason."""
    found = [f"{_saved_text(one.saved):>12}  {one.subject}: use {one.instead}, since {one.reason}." for one in advice]
    return ["Cheaper ways that would do (nothing of this is done by itself):", *found] if found else []


def _saved_text(saved: float | None) -> str:
    return "may save" if saved is None else f"saves {saved:.0%}"
