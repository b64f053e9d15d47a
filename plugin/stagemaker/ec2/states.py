"""The states of an instance, and why it is in one. Pure.

Source: "Instance lifecycle" and "StateReason" of the EC2 user guide and API reference.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from stagemaker.core.errors import ApiError

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


@dataclass(frozen=True)
class Reason:
    """StateReason, and the text of StateTransitionReason."""

    code: str = ""
    message: str = ""
    transition: str = ""


NO_REASON = Reason()
SHUT_DOWN = Reason("Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
SPOT = Reason("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")


def by_user(now_s: float) -> Reason:
    """Somebody has called StopInstances or TerminateInstances."""
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M:%S GMT")
    code = "Client.UserInitiatedShutdown"
    return Reason(code, f"{code}: User initiated shutdown", f"User initiated ({moment})")


def failed(why: str) -> Reason:
    """The stage could not start the host, or lost it."""
    return Reason("Server.InternalError", f"Server.InternalError: {why}", f"Server.InternalError: {why}")


def after_shutdown(behavior: str, *, is_spot: bool) -> str:
    """The state that follows `shutdown -h now` within the host. (ours) An instance of a one-time spot request cannot be
    stopped, and ends."""
    return "terminated" if behavior == "terminate" or is_spot else "stopped"


def check_start(instance_id: str, state: str) -> None:
    """Refuse StartInstances of an instance that is not stopped, or runs."""
    if state not in ("stopped", "running", "pending"):
        raise _wrong_state(f"The instance '{instance_id}' is not in a state from which it can be started.")


def check_stop(instance_id: str, state: str, *, is_spot: bool) -> None:
    """Refuse StopInstances of an instance that has ended, and of one that a one-time spot request made."""
    if is_spot:
        raise ApiError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{instance_id}' because it is associated with a one-time Spot Instance "
            "request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
        )
    if state not in ("running", "pending", "stopping", "stopped"):
        raise _wrong_state(f"This instance '{instance_id}' is not in a state from which it can be stopped.")


def _wrong_state(message: str) -> ApiError:
    return ApiError("IncorrectInstanceState", message)
