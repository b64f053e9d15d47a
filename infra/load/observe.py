"""What AWS says about the endpoint while the load goes on: its instances, the alarms of its scaling policies, and what
scaling did."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_COMPRESSED = re.compile(r"time is compressed (\d+) times[^.;]*")
_MAX_ACTIVITIES = 50  # AWS's for a page, and enough for a load


@dataclass(frozen=True)
class Services:
    """boto3 clients of one account and region."""

    sagemaker: Any
    autoscaling: Any
    cloudwatch: Any


@dataclass(frozen=True)
class Variant:
    """The variant of an endpoint that is looked at."""

    endpoint: str
    name: str

    @property
    def scalable(self) -> dict[str, str]:
        """Its name in Application Auto Scaling."""
        resource = f"endpoint/{self.endpoint}/variant/{self.name}"
        return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}


@dataclass(frozen=True)
class Activity:
    """A scaling activity, or with `not_scaled` the reason why an alarm changed nothing. Times are AWS's."""

    id: str
    began: datetime
    ended: datetime | None
    status: str
    description: str
    cause: str
    message: str
    details: str
    not_scaled: str


@dataclass(frozen=True)
class Observation:
    """What was seen at `at_s` seconds since the beginning of the load. `alarms` are states by name."""

    at_s: float
    status: str
    current: int
    desired: int
    alarms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """All observations, and the activities that began within them, in order. `compressed` is what an alarm or an
    activity says about time that passes faster than on AWS, or empty. `missed` counts the looks that failed, and
    `reason` is why the last of them did."""

    observations: tuple[Observation, ...] = ()
    activities: tuple[Activity, ...] = ()
    compressed: str = ""
    missed: int = 0
    reason: str = ""


def variant_of(described: Mapping[str, Any], name: str | None = None) -> Mapping[str, Any]:
    """The first variant, or the one of that name, in DescribeEndpoint's answer. Raises LookupError."""
    variants: list[Mapping[str, Any]] = described["ProductionVariants"]
    for found in variants:
        if name in (None, found["VariantName"]):
            return found
    raise LookupError(name)


def compression_in(text: str) -> tuple[str, int]:
    """What a description says about compressed time, and how many times; nothing and 1 on AWS."""
    found = _COMPRESSED.search(text)
    return (found[0], int(found[1])) if found else ("", 1)


class Observer:
    """Looks again and again, in a thread of its own, because an answer may be slow while the endpoint is under load.
    A look that fails is counted, and the load goes on."""

    def __init__(self, services: Services, variant: Variant, now_s: Callable[[], float], every_s: float) -> None:
        self._services, self._variant, self._now_s, self._every_s = services, variant, now_s, every_s
        self._lock = threading.Lock()
        self._seen = Seen()
        self._known: set[str] = set()  # activities of before
        self._asks_scaling = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Look from now on. Activities of before are left out. Where Application Auto Scaling cannot be asked, such as
        without the permission, only instances are looked at."""
        try:
            self._known = {activity.id for activity in self._activities()}
        except (BotoCoreError, ClientError) as error:
            self._asks_scaling = False
            self._seen = Seen(reason=str(error))
        self._thread.start()

    def stop(self, limit_s: float = 30.0) -> Seen:
        """What was seen. Waits for the last look, for at most `limit_s`."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        return self.seen()

    def seen(self) -> Seen:
        """What was seen so far."""
        with self._lock:
            return self._seen

    def _run(self) -> None:
        while True:
            self._look()
            if self._stopped.wait(self._every_s):
                break
        self._look()

    def _look(self) -> None:
        before = self.seen()
        try:
            found = self._observation()
            activities = [one for one in self._activities() if one.id not in self._known] if self._asks_scaling else []
        except (BotoCoreError, ClientError) as error:
            after = Seen(before.observations, before.activities, before.compressed, before.missed + 1, str(error))
        else:
            observation, descriptions = found
            texts = (*descriptions, *(one.details for one in activities))
            said = next((words for text in texts if (words := compression_in(text)[0])), before.compressed)
            after = Seen((*before.observations, observation), tuple(activities), said, before.missed, before.reason)
        with self._lock:
            self._seen = after

    def _observation(self) -> tuple[Observation, list[str]]:
        """What is there now, and the descriptions of the alarms."""
        described = self._services.sagemaker.describe_endpoint(EndpointName=self._variant.endpoint)
        variant = variant_of(described, self._variant.name)
        alarms = policy_alarms(self._services, self._variant) if self._asks_scaling else []
        observation = Observation(
            self._now_s(),
            described["EndpointStatus"],
            variant["CurrentInstanceCount"],
            variant["DesiredInstanceCount"],
            {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms},
        )
        return observation, [alarm.get("AlarmDescription", "") for alarm in alarms]

    def _activities(self) -> list[Activity]:
        found = self._services.autoscaling.describe_scaling_activities(
            **self._variant.scalable, IncludeNotScaledActivities=True, MaxResults=_MAX_ACTIVITIES
        )["ScalingActivities"]
        return sorted((_activity(one) for one in found), key=lambda one: one.began)


def policy_alarms(services: Services, variant: Variant) -> list[dict[str, Any]]:
    """The metric alarms of the variant's scaling policies, in the order of their names."""
    policies = services.autoscaling.describe_scaling_policies(**variant.scalable)["ScalingPolicies"]
    names = sorted({alarm["AlarmName"] for policy in policies for alarm in policy.get("Alarms", [])})
    if not names:
        return []
    found: list[dict[str, Any]] = services.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    return sorted(found, key=lambda alarm: str(alarm["AlarmName"]))


def short_name(alarm: str) -> str:
    """`AlarmHigh` of `TargetTracking-<resource>-AlarmHigh-<uuid>`; another name as it is."""
    found = re.search(r"AlarmHigh|AlarmLow", alarm)
    return found[0] if found else alarm


def _activity(found: Mapping[str, Any]) -> Activity:
    return Activity(
        id=found["ActivityId"],
        began=found["StartTime"],
        ended=found.get("EndTime"),
        status=found["StatusCode"],
        description=found["Description"],
        cause=found["Cause"],
        message=found.get("StatusMessage", ""),
        details=found.get("Details", ""),
        not_scaled=", ".join(reason["Code"] for reason in found.get("NotScaledReasons", [])),
    )
