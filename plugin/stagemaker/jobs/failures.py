"""How a job says that its container failed: AWS's code, what is known of the reason, and the exit code."""

from collections.abc import Sequence

from stagemaker.jobs.kind import FAILURE_CHARS
from stagemaker.runtime.contract import Exit


def failure_reason(hosts: Sequence[str], index: int, end: Exit, told: str = "") -> str:
    """The FailureReason of a job whose host of that `index` ended so; `told` is what its program says of it. Cut so
    that the code stays."""
    text = ". ".join(filter(None, (end.reason.rstrip("."), told))) or "See job logs for more information"
    host = f"{hosts[index]}: " if len(hosts) > 1 else ""
    if end.lost:
        return f"InternalServerError: {host}{text}"[:FAILURE_CHARS]
    ending = f", exit code: {end.code}"
    return f"AlgorithmError: {host}{text}"[: FAILURE_CHARS - len(ending)] + ending
