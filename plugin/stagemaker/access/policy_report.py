"""What the recorder knows of a principal, as the members of an answer in JSON. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stagemaker.access.least_policy import Use, document_of, least_policy, with_placeholders
from stagemaker.access.recorder import Recording


def policy_report(recording: Recording, groups: Sequence[str] = ()) -> dict[str, Any]:
    """The smallest policy for what was done, for this account and as a template; the calls that need each statement;
    and what the principal's own policies do not allow, with the statement that would. Times are in ISO 8601, UTC."""
    statements = least_policy(recording.done, groups)
    document = document_of(statements)
    return {
        "Principal": recording.principal,
        "Policy": document,
        "Template": with_placeholders(document, recording.principal.split(":")[4]),
        "Statements": [
            {"Sid": one.sid, "Because": list(one.because), "Count": one.count, "LastTime": _time(one.last_s)}
            for one in statements
        ],
        "Refused": [_refused(use, groups) for use in recording.refused],
        "Forgotten": recording.forgotten,
    }


def _refused(use: Use, groups: Sequence[str]) -> dict[str, Any]:
    (statement,) = least_policy([use], groups)
    return {
        "Reason": use.refusal,
        "Because": use.because,
        "Count": use.count,
        "LastTime": _time(use.last_s),
        "Statement": statement.document(),
    }


def _time(epoch_s: float) -> str:
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
