"""Which status of a notebook instance may follow which. Pure."""

from collections.abc import Mapping

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Ref
from stagemaker.core.store import Record

STATUS = "NotebookInstanceStatus"
PENDING, IN_SERVICE, STOPPING, STOPPED = "Pending", "InService", "Stopping", "Stopped"
FAILED, UPDATING, DELETING = "Failed", "Updating", "Deleting"
_FROM: Mapping[str, tuple[str, ...]] = {
    PENDING: (STOPPED, FAILED),
    STOPPING: (IN_SERVICE,),
    UPDATING: (STOPPED, FAILED),
    DELETING: (STOPPED, FAILED),
}


def check_move(ref: Ref, record: Record, status: str) -> None:
    """ValidationException, in AWS's words, when a caller may not bring the instance to this status now."""
    if record[STATUS] not in _FROM[status]:
        raise _refused(ref, record, _FROM[status], f"transition to ({status})")


def check_serves(ref: Ref, record: Record) -> None:
    """ValidationException when the instance cannot be opened now. The sentence is ours, after AWS's."""
    if record[STATUS] != IN_SERVICE:
        raise _refused(ref, record, (IN_SERVICE,), "create an address")


def _refused(ref: Ref, record: Record, allowed: tuple[str, ...], what: str) -> ApiError:
    status, known = record[STATUS], ", ".join(allowed)
    return validation_error(
        f"Status ({status}) not in ([{known}]). Unable to {what} for Notebook Instance ({ref.arn})."
    )
