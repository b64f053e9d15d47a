"""Pure: ModelError, which SageMaker Runtime answers when a container's answer is an error, or none."""

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

MAX_MESSAGE_CHARS = 8_192  # (ours) of a container's error that is passed on
NO_STATUS = 0  # (ours) OriginalStatusCode where the container gave no answer
PRIMARY = "primary"  # AWS's word for the container of a model that has one


def timed_out(container: str) -> str:
    """AWS's sentence about a container that did not answer in time."""
    return (
        f"Your invocation timed out while waiting for a response from container {container}. Review the latency "
        "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
    )


def is_error(status: int) -> bool:
    """Whether a container's answer is one; NO_STATUS too."""
    return not 200 <= status < 300


def described_error(status: int, text: str, container: str = PRIMARY) -> str:
    """What a container's error is called in messages and logs."""
    side = "client" if 400 <= status < 500 else "server"
    return f'Received {side} error ({status}) from {container} with message "{text}".'


def error_text(body: bytes) -> str:
    """As much of a container's error as is passed on."""
    return body[: 4 * MAX_MESSAGE_CHARS].decode(errors="replace")[:MAX_MESSAGE_CHARS]


def model_error(scope: Scope, log_group: str, status: int, body: bytes, container: str = PRIMARY) -> ApiError:
    """424, with what the container said."""
    text = error_text(body)
    said = described_error(status, text, container)
    page = f"https://{scope.console}/cloudwatch/home?region={scope.region}#logEventViewer:group="
    return ApiError(
        "ModelError",
        f"{said} See {page}{log_group} in account {scope.account} for more information.",
        424,
        {
            "OriginalStatusCode": status,
            "OriginalMessage": text,
            "LogStreamArn": scope.arn("logs", f"log-group:{log_group}"),
        },
    )
