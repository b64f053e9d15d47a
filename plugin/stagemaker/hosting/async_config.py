"""Pure: AsyncInferenceConfig of an endpoint configuration, which makes an endpoint asynchronous."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import validation_error
from stagemaker.hosting.capture import capture_config
from stagemaker.hosting.locations import check_location

MEMBER = "AsyncInferenceConfig"
MAX_CONCURRENT = 4  # (ours) requests that an instance has at once: AWS chooses, unless ClientConfig says it
SUCCESS, ERROR = "SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"


@dataclass(frozen=True)
class AsyncConfig:
    """What `members`, as CreateEndpointConfig got them, say."""

    members: Mapping[str, Any]

    @property
    def output_path(self) -> str:
        """Where answers go, `s3://bucket/prefix`."""
        return str(self._output["S3OutputPath"])

    @property
    def failure_path(self) -> str | None:
        """Where failures are described; None: nowhere."""
        return self._output.get("S3FailurePath")

    @property
    def success_topic(self) -> str | None:
        """The ARN of the topic of SNS that is told of each answer."""
        return self._notification.get("SuccessTopic")

    @property
    def error_topic(self) -> str | None:
        """The ARN of the topic of SNS that is told of each failure."""
        return self._notification.get("ErrorTopic")

    @property
    def topics(self) -> frozenset[str]:
        """Both of them, if they are given."""
        return frozenset(filter(None, (self.success_topic, self.error_topic)))

    @property
    def max_concurrent(self) -> int:
        """How many requests an instance has at once."""
        return int(self.members.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", MAX_CONCURRENT))

    def includes_response(self, topic: str) -> bool:
        """Whether messages to SUCCESS or ERROR hold the container's answer."""
        return topic in self._notification.get("IncludeInferenceResponseIn", ())

    @property
    def _output(self) -> Mapping[str, Any]:
        output: Mapping[str, Any] = self.members["OutputConfig"]
        return output

    @property
    def _notification(self) -> Mapping[str, Any]:
        notification: Mapping[str, Any] = self._output.get("NotificationConfig", {})
        return notification


def async_config(config: Mapping[str, Any]) -> AsyncConfig | None:
    """Of an endpoint configuration; None when its endpoints are real-time ones."""
    return AsyncConfig(config[MEMBER]) if MEMBER in config else None


def check_async_config(request: Mapping[str, Any]) -> None:
    """ValidationException for a CreateEndpointConfig request whose AsyncInferenceConfig leads nowhere, or cannot be
    together with its other members; 501 for locations that are not `s3://`, and for data capture."""
    if MEMBER not in request:
        return
    if request.get("ShadowProductionVariants"):
        raise validation_error(f"ShadowProductionVariants are not supported when specifying an {MEMBER}.")
    capture = capture_config(request)
    if capture and capture.enabled:
        raise not_supported(f"DataCaptureConfig together with {MEMBER}")
    output = request[MEMBER]["OutputConfig"]
    if "S3OutputPath" not in output:
        raise validation_error(f"S3OutputPath of {MEMBER} must be given: answers have no other place.")
    for member in ("S3OutputPath", "S3FailurePath"):
        if member in output:
            if output[member].startswith("https://"):
                raise not_supported(f"{member} of the form https://")
            check_location(member, output[member])
