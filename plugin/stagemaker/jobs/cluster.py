"""What the kinds of jobs that run on a cluster of instances ask of its description alike. Pure."""

from collections.abc import Mapping
from typing import Any

from stagemaker.core.errors import validation_error

MAX_HOSTS = 20  # (ours) of one job: one machine runs them all
_READ_ONLY = {"SelectedInstanceType", "SelectedInstanceCount"}


def refuse_read_only(name: str, cluster: Mapping[str, Any]) -> None:
    """ValidationException for what AWS only shows in the member `name` of a request."""
    if read_only := sorted(_READ_ONLY & cluster.keys()):
        raise validation_error(f"{name} does not take {', '.join(read_only)}: it is read-only.")
