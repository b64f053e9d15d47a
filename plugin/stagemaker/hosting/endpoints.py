"""Endpoints: fleets of containers behind one name. What its fleets do meanwhile is in fleets.py."""

import itertools
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from stagemaker.api.listing import listing
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.hosting.capture import summary
from stagemaker.hosting.context import EndpointAccount, FleetContext
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.fleets import Fleets
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.layout import ContainerLayout, FleetLayout, VariantLayout, lay_out_fleet
from stagemaker.hosting.records import existing, refuse_taken
from stagemaker.hosting.rollout import plan_rollout
from stagemaker.hosting.router import Router
from stagemaker.hosting.serverless import KEEP_WARM_S, check_quotas, serverless_config
from stagemaker.hosting.targets import (
    SHADOWS,
    Desired,
    Targets,
    VariantTarget,
    changed_targets,
    initial_targets,
    retained_targets,
    sized,
)
from stagemaker.hosting.variant_status import MAX_MESSAGE_CHARS, VariantStage, scaling
from stagemaker.runtime.contract import Runtime

MAX_INSTANCES = 20  # (ours) of one endpoint: one machine runs them all
LAST = "LastDeploymentConfig"
IN_PROGRESS = ("Creating", "Updating", "RollingBack")
ANEW = "Delete it, and create it anew."
REMEDIES = {  # of an endpoint at rest that cannot be changed so
    "Failed": ANEW,
    "OutOfService": ANEW,
    "UpdateRollbackFailed": "Update it to one configuration, or delete it.",
}
NOTHING_RUNS = "No container runs: there is no request."
SERVES = "ActivatingTraffic"  # of AWS's stages the last that is behind a variant in service
UPDATABLE = ("InService", "UpdateRollbackFailed")


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DescribeEndpoint, ListEndpoints and
    DeleteEndpoint; and `router` for invocations.

    `work_dir` is ours alone, empty or not there yet; it is gone when `supervisor` has closed. `keep_warm_s` is how long
    a container of a serverless variant waits for its next request. `is_scalable` says whether a variant of an endpoint
    is a scalable target.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        account: EndpointAccount,
        logs: RoleTelemetry,
        clock: Callable[[], float],
        work_dir: Path,
        supervisor: Supervisor,
        *,
        times: HealthTimes = HealthTimes(),  # noqa: B008 - frozen
        elapsed: Callable[[], float] = time.monotonic,
        keep_warm_s: float = KEEP_WARM_S,
        is_scalable: Callable[[Ref, str], bool] = lambda _endpoint, _variant: False,
    ) -> None:
        self._store, self._runtime, self._clock, self._work_dir = store, runtime, clock, work_dir
        self._supervisor, self._account = supervisor, account
        context = FleetContext(runtime, account, logs, clock, supervisor, times, elapsed, keep_warm_s=keep_warm_s)
        self._fleets = Fleets(store, context, account)
        self._generations, self._is_scalable = itertools.count(1), is_scalable
        supervisor.own(lambda: shutil.rmtree(work_dir, ignore_errors=True))

    def create_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Returns at once, with the endpoint Creating.

        ValidationException for a name that is taken, or a configuration or model that is not there;
        ResourceLimitExceeded for more instances than one machine should run, for hardware that it cannot give, and for
        more serverless endpoints, or concurrency of them, than AWS gives an account.
        DeploymentConfig is checked and kept for an UpdateEndpoint with RetainDeploymentConfig.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            refuse_taken(self._store, ref)
            layout, targets = self._lay_out(ref, request["EndpointConfigName"])
            counts = _counts(layout.variants, targets)
            plan_rollout(request.get("DeploymentConfig", {}), counts, counts)
            now_s = self._clock()
            record = {
                "EndpointName": ref.name,
                "EndpointArn": ref.arn,
                "EndpointConfigName": layout.config,
                "EndpointStatus": "Creating",
                "CreationTime": now_s,
                "LastModifiedTime": now_s,
                "Tags": tag_list(request),
                **({LAST: request["DeploymentConfig"]} if "DeploymentConfig" in request else {}),
                **Desired(targets).members(),
            }
            self._fleets.launch(ref, layout, targets)
            self._store.put(ref, record)
        return {"EndpointArn": ref.arn}

    def update_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Start a fleet of the new configuration, which takes over as DeploymentConfig says; without one at once, when
        all of it is healthy. Then the old one is stopped. When that fails, or an alarm trips, the old one serves on.

        ValidationException unless the endpoint is InService, or UpdateRollbackFailed; when the configuration that it
        has was deleted, since AWS compares the new one with it; for one of instances that is to be serverless, as on
        AWS; for a DeploymentConfig as `plan_rollout` says, and for
        an alarm that is not there. ResourceLimitExceeded as `create_endpoint`.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        record = self._changeable(ref, UPDATABLE)
        deployment = _deployment_config(record, request)
        self._check_alarms(scope, deployment)
        with self._store.lock:
            record = self._changeable(ref, UPDATABLE)
            existing(self._store, Ref(scope, ENDPOINT_CONFIG, record["EndpointConfigName"]))
            layout, initial = self._lay_out(ref, request["EndpointConfigName"])
            serving, fleet = Desired.of(record).serving, self._fleets.serving(ref)
            if fleet:
                _check_conversion(ref, fleet.layout, layout)
                self._check_scalable(ref, fleet.layout, layout)
            targets = retained_targets(initial, serving, request)
            self._check_capacity(ref, layout, targets)
            old = _counts(fleet.layout.variants, serving) if fleet else {}
            rollout = plan_rollout(deployment, old, _counts(layout.variants, targets))
            self._fleets.launch(ref, layout, targets, rollout)
            desired = Desired(serving, coming=sized(targets, rollout.steps[0].new))
            last = {LAST: deployment} if deployment else {}
            self._fleets.change(ref, "Updating", **last, **desired.members())
        return {"EndpointArn": ref.arn}

    def update_endpoint_weights_and_capacities(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Change the targets of the fleet that serves. The weights count at once; the endpoint is Updating until the
        fleet has as many instances as it should. When new ones cannot serve, the former targets are restored.

        ValidationException unless the endpoint is InService, and as `changed_targets` says; ResourceLimitExceeded as
        `create_endpoint`.
        """
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        changes = request["DesiredWeightsAndCapacities"]
        self._supervisor.refuse_when_closing()
        with self._store.lock:
            former = Desired.of(self._changeable(ref, ("InService",))).serving
            fleet = self._fleets.serving(ref)
            targets = changed_targets(former, changes, least=0 if fleet and fleet.layout.async_config else 1)
            if fleet:  # which every endpoint has that is InService
                self._check_capacity(ref, fleet.layout, targets)
            self._fleets.change(ref, "Updating", **Desired(targets, former=former).members())
        return {"EndpointArn": ref.arn}

    def describe_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """The state now; the instance counts are those of containers that are healthy now. PendingDeploymentSummary is
        what is on its way to serve, while the endpoint is created or moves to another configuration."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            record, fleet, coming = existing(self._store, ref), self._fleets.serving(ref), self._fleets.coming(ref)
        desired, members = Desired.of(record), dict[str, Any]()
        if fleet:
            members = _by_kind(fleet, _variants(fleet, desired.serving, _scaling(record, desired)))
            if fleet.layout.capture:
                works = fleet.capture is not None and fleet.capture.works
                members["DataCaptureConfig"] = summary(fleet.layout.capture, works=works)
        if coming:
            members["PendingDeploymentSummary"] = _pending(*coming)
        shown = fleet or (coming[0] if coming else None)
        if shown and shown.layout.async_config:
            members["AsyncInferenceConfig"] = shown.layout.async_config.members
        if shown and shown.layout.metrics.members:
            members["MetricsConfig"] = shown.layout.metrics.members
        return {**described(record), **members}

    def list_endpoints(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Newest first unless asked otherwise."""
        return listing(
            self._store.all(scope, ENDPOINT),
            request,
            ENDPOINT,
            items="Endpoints",
            members=("LastModifiedTime", "EndpointStatus"),
            status="EndpointStatus",
        )

    def delete_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Returns at once, with the endpoint Deleting: it takes no new requests, answers those that it has for as long
        as a request may take, and is gone when all has stopped. ValidationException while it is created or changed."""
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        with self._store.lock:
            if existing(self._store, ref)["EndpointStatus"] in IN_PROGRESS:
                raise _in_progress(ref)
            if self._fleets.cancel(ref):
                self._fleets.change(ref, "Deleting")
            else:
                self._store.delete(ref)
        return {}

    def router(self, ref: Ref) -> Router[Fleet] | None:
        """Who takes the endpoint's requests; None when nothing runs for it."""
        return self._fleets.router(ref)

    def _check_alarms(self, scope: Scope, deployment: Mapping[str, Any]) -> None:
        """ValidationException for an alarm that is not there (ours): it could never end the deployment."""
        alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
        names = [alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm]
        there = self._account.alarm_states(scope, names) if names else {}
        if missing := [name for name in names if name not in there]:
            raise validation_error(f"Could not find the CloudWatch alarm {missing[0]} of AutoRollbackConfiguration.")

    def _changeable(self, ref: Ref, statuses: Collection[str]) -> Record:
        """The record; ValidationException unless the endpoint has one of the statuses."""
        record = existing(self._store, ref)
        status = record["EndpointStatus"]
        if status not in statuses and status in REMEDIES:
            raise validation_error(f'Cannot update endpoint "{ref.arn}": it is {status}. {REMEDIES[status]}')
        if status not in statuses:
            raise _in_progress(ref)
        return record

    def _lay_out(self, ref: Ref, config_name: str) -> tuple[FleetLayout, Targets]:
        """What a fleet under this configuration runs, and how many instances it begins with."""
        config = existing(self._store, Ref(ref.scope, ENDPOINT_CONFIG, config_name))
        names = {each["ModelName"] for each in (*config["ProductionVariants"], *config.get(SHADOWS, ()))}
        models = {name: existing(self._store, Ref(ref.scope, MODEL, name)) for name in names}
        folder, generation = self._work_dir / ref.scope.account / ref.scope.region, str(next(self._generations))
        layout = lay_out_fleet(ref.name, config, models, generation=generation, work_dir=folder)
        targets = initial_targets(config)
        self._check_capacity(ref, layout, targets)
        return layout, targets

    def _check_scalable(self, ref: Ref, old: FleetLayout, new: FleetLayout) -> None:
        """ValidationException, in AWS's words, when a scalable target's variant goes, or gets another instance type."""
        kept = {(variant.name, variant.instance_type) for variant in new.variants}
        gone = [each.name for each in old.variants if (each.name, each.instance_type) not in kept]
        if scalable := [name for name in gone if self._is_scalable(ref, name)]:
            raise validation_error(
                f'The variant(s) "[{", ".join(scalable)}]" must be deregistered as scalable targets with AWS Auto '
                "Scaling before they can be removed or have their instance type updated."
            )

    def _check_capacity(self, ref: Ref, layout: FleetLayout, targets: Targets) -> None:
        """ResourceLimitExceeded for more than this machine can run, or of serverless variants than an account has."""
        if most := _concurrency(targets):
            others = self._store.all(ref.scope, ENDPOINT)
            of_others = [_concurrency(_last_targets(each)) for each in others if each["EndpointName"] != ref.name]
            check_quotas(ref.scope.region, [each for each in of_others if each], most)
            return
        count = sum(target.count for target in targets.values())
        if count > MAX_INSTANCES:
            sentence = f"An endpoint runs at most {MAX_INSTANCES} instances on one machine; {count} are asked for."
            raise ApiError("ResourceLimitExceeded", sentence)
        for variant in layout.all_variants:
            self._runtime.check_hardware(variant.instance_type, 1)  # each for itself: they need not find each other


def _check_conversion(ref: Ref, old: FleetLayout, new: FleetLayout) -> None:
    """ValidationException for instances that are to become serverless."""
    if new.is_serverless and not old.is_serverless:
        raise validation_error(f'Cannot update instance-based endpoint "{ref.arn}" to a serverless endpoint.')


def _last_targets(record: Record) -> Targets:
    """Those that an endpoint is to have in the end."""
    desired = Desired.of(record)
    return desired.coming or desired.serving


def _concurrency(targets: Targets) -> int:
    """MaxConcurrency of a serverless endpoint; 0 of any other."""
    return sum(target.max_concurrency or 0 for target in targets.values())


def _in_progress(ref: Ref) -> ApiError:
    return validation_error(f'Cannot update in-progress endpoint "{ref.arn}".')


def _counts(variants: Sequence[VariantLayout], targets: Targets) -> dict[str, int]:
    return {variant.name: targets[variant.name].count for variant in variants}


def _deployment_config(record: Record, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The DeploymentConfig of an UpdateEndpoint request: its own, or the last one again; none is empty."""
    if not request.get("RetainDeploymentConfig"):
        given: Mapping[str, Any] = request.get("DeploymentConfig", {})
        return given
    if "DeploymentConfig" in request:
        raise validation_error("Give either DeploymentConfig or RetainDeploymentConfig.")
    last: Mapping[str, Any] = record.get(LAST, {})
    return last


def _scaling(record: Record, desired: Desired) -> VariantStage | None:
    """What is said of the variants while UpdateEndpointWeightsAndCapacities goes on."""
    if desired.former is None:
        return None
    return scaling({name: target.count for name, target in desired.serving.items()}, record["LastModifiedTime"])


def _by_kind(fleet: Fleet, variants: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The members ProductionVariants and, where there is one, ShadowProductionVariants."""
    shadow = fleet.layout.shadow
    production = [variants[variant.name] for variant in fleet.layout.variants]
    return {"ProductionVariants": production, **({SHADOWS: [variants[shadow.name]]} if shadow else {})}


def _variants(fleet: Fleet, desired: Targets, stage: VariantStage | None = None) -> dict[str, dict[str, Any]]:
    return {
        variant.name: {
            "VariantName": variant.name,
            "DeployedImages": [_deployed_image(fleet, variant, container) for container in variant.containers],
            "CurrentWeight": fleet.weight(variant.name),
            "DesiredWeight": desired[variant.name].weight,
            **_capacity(fleet, variant, desired[variant.name]),
            "VariantStatus": [_status(fleet, variant.name, fleet.stage or stage)],
        }
        for variant in fleet.layout.all_variants
    }


def _capacity(fleet: Fleet, variant: VariantLayout, desired: VariantTarget) -> dict[str, Any]:
    """How much of a variant there is, and is to be. A serverless one has no instances; it has a DesiredServerlessConfig
    only while that is another one."""
    in_service, target = fleet.in_service(variant.name), fleet.targets[variant.name]
    if not variant.is_serverless:
        return {"CurrentInstanceCount": in_service, "DesiredInstanceCount": desired.count}
    memory_mb = variant.serverless_memory_mb
    current = serverless_config(memory_mb, target.max_concurrency, min(target.count, in_service))
    wanted = serverless_config(memory_mb, desired.max_concurrency, desired.count)
    members = {"CurrentInstanceCount": 0, "CurrentServerlessConfig": current}
    return members if wanted == current else {**members, "DesiredServerlessConfig": wanted}


def _status(fleet: Fleet, variant: str, stage: VariantStage | None) -> dict[str, Any]:
    if stage is None:
        return {"Status": SERVES, "StatusMessage": (fleet.hardware(variant) or NOTHING_RUNS)[:MAX_MESSAGE_CHARS]}
    return stage.of(variant, fleet.counts[variant])


def _deployed_image(fleet: Fleet, variant: VariantLayout, container: ContainerLayout) -> dict[str, Any]:
    image = fleet.resolved_image(variant, container)
    resolved = {"ResolvedImage": image, "ResolutionTime": fleet.pinned_s} if image else {}
    return {"SpecifiedImage": container.image, **resolved}


def _pending(fleet: Fleet, desired: Targets) -> dict[str, Any]:
    """A fleet that does not serve alone yet: AWS tells how far each of its variants is."""
    variants = _variants(fleet, desired)
    for layout in fleet.layout.all_variants:
        if layout.instance_type:
            variants[layout.name]["InstanceType"] = layout.instance_type
    return {
        "EndpointConfigName": fleet.layout.config,
        "StartTime": fleet.created_s,
        **_by_kind(fleet, variants),
    }
