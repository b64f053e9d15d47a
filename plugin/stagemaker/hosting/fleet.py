"""Everything that runs for an endpoint under one configuration: as many instances as the targets say."""

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from stagemaker.core.errors import ApiError, hinted
from stagemaker.core.refs import Scope
from stagemaker.hosting.calls import ContainerCall
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.data_capture import DataCapture
from stagemaker.hosting.instance import Instance
from stagemaker.hosting.layout import ContainerLayout, FleetLayout, InstanceLayout, VariantLayout
from stagemaker.hosting.model_cache import ModelCache
from stagemaker.hosting.model_data import CONTAINER, BadModelData, fetch_model
from stagemaker.hosting.model_error import PRIMARY
from stagemaker.hosting.multi_model_metrics import MultiModelMetrics
from stagemaker.hosting.serverless_metrics import Values
from stagemaker.hosting.serverless_queue import ServerlessQueue
from stagemaker.hosting.targets import Targets
from stagemaker.hosting.variant_status import Counts, VariantStage
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.hardware import sentence
from stagemaker.runtime.images import resolved
from stagemaker.runtime.variables import run_as

LOOK_AGAIN_S = 1.0  # (ours) should a change not be told


class FleetFailed(Exception):
    """The fleet cannot be what its targets say; the message is the endpoint's FailureReason."""


class Copies(Protocol):
    """The part of `shadow.ShadowCopies` that whoever sends a call needs."""

    def offer(self, call: ContainerCall) -> None: ...


class Fleet:
    """The instances of a layout. One thread, the owner, calls `reconcile` whenever `wait` returns, and then `stop`; all
    else may be called from any thread. Each instance has a thread of its own, so that none waits for another."""

    def __init__(self, layout: FleetLayout, targets: Targets, scope: Scope, context: FleetContext) -> None:
        self.layout = layout
        self.created_s = context.clock()
        self._scope, self._context = scope, context
        self._cancelled, self._changed = threading.Event(), threading.Event()
        self._drain = False  # when it is cancelled
        self.stage: VariantStage | None = None  # what goes on with it, unless it just serves
        self.beside = False  # whether it comes while another fleet serves
        self.copies: Copies | None = None  # with a shadow variant: who gets every call too
        self.queue: ServerlessQueue | None = None  # of a serverless variant: who gives requests their container
        self.capture: DataCapture | None = None  # with data capture: who gets every invocation that was answered
        names = [variant.name for variant in layout.all_variants]
        # The owner replaces these tuples, and so any thread may read them.
        self._instances: dict[str, tuple[Instance, ...]] = dict.fromkeys(names, ())
        self._retired: tuple[Instance, ...] = ()
        self._shadows: set[Instance] = set()  # those of the shadow variant
        self._numbers: dict[str, Iterator[int]] = {name: itertools.count() for name in names}
        # The images of each variant's containers, by the names of both, once the owner knows them.
        self._pinned: Mapping[str, Mapping[str, str]] = {}
        self.pinned_s: float | None = None  # when
        self._reported: set[Instance] = set()  # those that were lost before they served
        self.set_targets(targets)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    @property
    def settled(self) -> bool:
        """Whether it is what its targets say: each instance in service or given up, and none on its way out."""
        return all(instance.ended.is_set() for instance in self._retired) and all(
            len(instances) == self._targets[name].count and all(i.in_service or self._given_up(i) for i in instances)
            for name, instances in self._instances.items()
        )

    @property
    def grown(self) -> bool:
        """Whether it has the instances of its targets, and each is or was in service."""
        return all(
            len(instances) == self._targets[name].count and all(instance.has_served for instance in instances)
            for name, instances in self._instances.items()
        )

    @property
    def weights(self) -> Mapping[str, float]:
        """Of the production variants, by name."""
        return self._weights

    def weight(self, variant: str) -> float:
        """Of any variant."""
        return self._targets[variant].weight

    @property
    def targets(self) -> Targets:
        """As they were set last."""
        return self._targets

    @property
    def counts(self) -> Counts:
        """How many instances each variant is to have now."""
        return {name: target.count for name, target in self._targets.items()}

    @property
    def launched(self) -> Counts:
        """How many instances of each variant are started first."""
        return self.counts

    @property
    def serves(self) -> bool:
        """Whether every production variant has an instance in service."""
        return all(self.in_service(variant.name) for variant in self.layout.variants)

    @property
    def serverless_metrics(self) -> Values:
        """How many requests a serverless variant has now, as CloudWatch is told it."""
        return {}

    def dimensions(self, variant: str) -> tuple[Mapping[str, str], ...]:
        """Of the metrics of a variant: while it comes beside another fleet they also carry its configuration's name, so
        that an alarm can look at it alone."""
        common = {"EndpointName": self.layout.endpoint, "VariantName": variant}
        return (common, {**common, "EndpointConfigName": self.layout.config}) if self.beside else (common,)

    def instance_dimensions(self, variant: str, instance: str) -> tuple[Mapping[str, str], ...]:
        """Of the metrics of one instance: those of its variant, with enhanced metrics also with its own id."""
        common = self.dimensions(variant)
        if not self.layout.metrics.enhanced or self.layout.is_serverless:
            return common
        return *common, {**common[0], "InstanceId": instance}

    def instances(self, variant: str) -> Sequence[Instance]:
        """Those of a variant, whatever their state; without those that the targets have no place for any more."""
        return self._instances[variant]

    def in_service(self, variant: str) -> int:
        """How many instances of a variant take requests."""
        return sum(instance.in_service for instance in self._instances[variant])

    def hardware(self, variant: str) -> str:
        """One sentence: what the instances of a variant run on, or ran on last; empty without any."""
        hardware = {i.id: i.hardware for i in self._instances[variant] if i.hardware}
        return sentence(hardware) if hardware else ""

    def resolved_image(self, variant: VariantLayout, container: ContainerLayout) -> str | None:
        """What all instances of a variant run as this container, from first to last, by its digest where it has one;
        None when the image was not looked up yet."""
        pinned = self._pinned.get(variant.name, {}).get(container.name)
        return resolved(container.image, pinned) if pinned else None

    def set_targets(self, targets: Targets) -> None:
        """What it is to be from now on. The weights count at once, the counts as soon as the owner has seen to it."""
        self._targets = targets
        self._weights = {variant.name: targets[variant.name].weight for variant in self.layout.variants}
        self._changed.set()

    def cancel(self, *, drain: bool = False) -> None:
        """Make the owner stop the fleet. It takes no new requests; those that it has are answered first with `drain`. A
        second call may only hurry it."""
        self._drain = drain and (self._drain or not self.cancelled)
        self._cancelled.set()
        for instance in self._all():
            self._retire(instance, drain=drain)
        self._changed.set()

    def wait(self, timeout_s: float = LOOK_AGAIN_S) -> None:
        """Until something has changed since the last call: the targets, an instance, or whether it is cancelled."""
        self._changed.wait(timeout_s)
        self._changed.clear()

    def reconcile(self) -> None:
        """Start the instances that are missing, and retire those that are too many.

        Raises FleetFailed when there is no image or model data, when a new instance was lost before it served (once for
        each), and when all instances of a variant are lost.
        """
        self._prepare()
        for variant in self.layout.all_variants:
            missing = self._targets[variant.name].count - len(self._instances[variant.name])
            if missing > 0:
                self._grow(variant)
            elif missing < 0:
                self._shrink(variant.name, -missing)
        for name, instances in self._instances.items():
            self._report_lost(name, instances)

    def _prepare(self) -> None:
        """Know the images, and forget the instances of which nothing is left."""
        if self.pinned_s is None:
            self._pin()
        self._retired = tuple(instance for instance in self._retired if not instance.ended.is_set())

    def stop(self) -> None:
        """End every instance, side by side, and delete the fleet's folder. A fleet that was not cancelled answers what
        it has first."""
        drain = self._drain or not self.cancelled
        for instance in self._all():
            self._retire(instance, drain=drain)
        for instance in self._all():
            instance.ended.wait()
        shutil.rmtree(self.layout.folder, ignore_errors=True)

    def _all(self) -> list[Instance]:
        return [*itertools.chain.from_iterable(self._instances.values()), *self._retired]

    def _pin(self) -> None:
        """Look up once what the names of the images mean."""
        pinned: dict[str, dict[str, str]] = {}
        for variant in self.layout.all_variants:
            for container in variant.containers:
                self._check_pull(variant, container)
                try:
                    image = self._context.runtime.pin(container.image)
                except ApiError as error:
                    why = f"it could not be started: {error.message.rstrip('.')}"
                    raise FleetFailed(self._unhealthy(variant.name, why, container.name)) from error
                pinned.setdefault(variant.name, {})[container.name] = image
        self._pinned, self.pinned_s = pinned, self._context.clock()

    def _check_pull(self, variant: VariantLayout, container: ContainerLayout) -> None:
        try:
            self._context.account.under(variant.role_arn, variant.subnet).check_pull(container.image)
        except ApiError as error:
            sentence = (
                f"Please make sure all images included in the model for the production variant {variant.name} exist, "
                "and that the execution role used to create the model has permissions to access them."
            )
            raise FleetFailed(hinted(sentence, error.message)) from error

    def _grow(self, variant: VariantLayout) -> None:
        """Start as many as the target says, also in place of the lost ones, which have their chance again."""
        kept = tuple(instance for instance in self._instances[variant.name] if instance.lost is None)
        self._add(variant, kept, self._targets[variant.name].count - len(kept))

    def _add(self, variant: VariantLayout, kept: tuple[Instance, ...], count: int) -> None:
        """Start so many beside those that are kept."""
        numbers = itertools.islice(self._numbers[variant.name], count)
        layouts = [self.layout.instance(variant, number, self._pinned[variant.name]) for number in numbers]
        try:
            for number, container in enumerate(variant.containers):
                base_dirs = [layout.containers[number].base_dir for layout in layouts]
                for base_dir, name in itertools.product(base_dirs, {"model", *container.folders}):
                    (base_dir / name).mkdir(parents=True, exist_ok=True)
                self._fetch_model(variant, container, base_dirs)
        except BaseException:
            for layout in layouts:
                shutil.rmtree(layout.base_dir, ignore_errors=True)
            raise
        self._instances[variant.name] = kept
        for layout in layouts:
            if self.cancelled:
                return
            instance = self._make(variant, layout)
            cancel = partial(instance.retire, drain=False)
            name = f"instance {self.layout.endpoint}-{layout.id}"
            self._context.supervisor.start(name, instance.run, cancel=cancel)
            if variant is self.layout.shadow:
                self._shadows.add(instance)
            self._instances[variant.name] += (instance,)

    def _shrink(self, name: str, surplus: int) -> None:
        """Retire first those that do not serve, then the newest."""
        by_worth = sorted(self._instances[name], key=lambda i: (i.lost is None, i.in_service), reverse=True)
        kept, left = by_worth[:-surplus], by_worth[-surplus:]
        self._instances[name] = tuple(kept)
        self._retired += tuple(left)
        for instance in left:
            self._retire(instance, drain=True)

    def _retire(self, instance: Instance, *, drain: bool) -> None:
        """Nobody waits for what a shadow variant answers."""
        instance.retire(drain=drain and instance not in self._shadows)

    def _report_lost(self, name: str, instances: Sequence[Instance]) -> None:
        lost = [instance for instance in instances if instance.lost is not None]
        new = [instance for instance in lost if not self._given_up(instance)]
        self._reported.update(new)
        if new or (lost and len(lost) == len(instances)):
            first = (new or lost)[0]
            raise FleetFailed(self._unhealthy(name, first.lost or "", first.culprit))

    def _given_up(self, instance: Instance) -> bool:
        """Whether it is lost, and nobody has to be told."""
        return instance.lost is not None and (instance.has_served or instance in self._reported)

    def _make(self, variant: VariantLayout, layout: InstanceLayout) -> Instance:
        account, context = self._context.account, self._context.under(variant.role_arn, variant.subnet)
        role = (self._scope, variant.role_arn, context.source_arn, variant.subnet)

        def run_as_role(spec: ContainerSpec) -> ContainerSpec:
            return run_as(spec, account.role_environment(*role), partial(account.role_credentials, *role))

        group = self.layout.log_group
        logs = [context.logs.stream(self._scope, group, each.log_stream) for each in layout.containers]
        models = self._models(variant, layout, logs[0])
        return Instance(layout, context, run_as_role, logs, self._instance_changed, models)

    def _instance_changed(self) -> None:
        """Have the owner look. Any thread calls it."""
        self._changed.set()

    def _models(self, variant: VariantLayout, layout: InstanceLayout, log: Callable[[str], None]) -> ModelCache | None:
        """Those of one instance of a multi-model endpoint."""
        if variant.models is None:
            return None
        context = self._context.under(variant.role_arn, variant.subnet)
        dimensions = partial(self.dimensions, variant.name)
        metrics = MultiModelMetrics(self._context.logs, self._scope, dimensions, context.clock)
        return ModelCache(
            variant.models,
            layout.base_dir,
            variant.max_model_bytes,
            context,
            self._scope,
            self.layout.log_group,
            metrics,
            log,
        )

    def _fetch_model(self, variant: VariantLayout, container: ContainerLayout, base_dirs: Sequence[Path]) -> None:
        """Once for all instances."""
        source = container.source
        if source is None or self.cancelled:
            return
        folders = [base_dir / "model" for base_dir in base_dirs]
        known_as = CONTAINER if container.name == PRIMARY else container.name
        account, scratch = self._context.account.under(variant.role_arn, variant.subnet), self.layout.folder
        due_s = self._context.elapsed() + variant.download_timeout_s

        def is_over() -> bool:
            return self.cancelled or self._context.elapsed() >= due_s

        try:
            fetch_model(account, self._scope, source, folders, scratch, variant.max_model_bytes, is_over, known_as)
        except BadModelData as error:
            raise FleetFailed(str(error)) from error
        if is_over() and not self.cancelled:
            limit = f"within {variant.download_timeout_s} s (ModelDataDownloadTimeoutInSeconds)"
            raise FleetFailed(f"Failed to download model data from {source.uri} {limit}.")

    def _unhealthy(self, variant: str, reason: str, container: str = PRIMARY) -> str:
        which = "primary container" if container == PRIMARY else container
        return (
            f"The {which} for production variant {variant} did not pass the ping health check: {reason}. "
            f"Please check CloudWatch logs for this endpoint: {self.layout.log_group}."
        )
