"""The signature of a form that is posted to a bucket: it signs the form's policy. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html. LocalStack checks the
policy's conditions and its end, but neither its signature nor that it speaks of every field.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.signature import ALGORITHM, Claim, read_credential

_FREE = (
    "policy",
    "file",
    "x-amz-signature",
)  # fields that the policy need not name, and those that begin with _IGNORED
_IGNORED = "x-ignore-"


def read_form(form: Mapping[str, str]) -> tuple[Claim, str] | None:
    """The form's claim and the text that it signs; None for a form that is not signed. `form` is without its file, by
    names in lower case. CredentialsRefused for a form that is signed otherwise, or has a field more than its policy."""
    if "policy" not in form:
        return None
    if "awsaccesskeyid" in form or "signature" in form:
        raise CredentialsRefused(Fault.OTHER_MECHANISM)
    names = ("x-amz-credential", "x-amz-date", "x-amz-signature")
    if form.get("x-amz-algorithm") != ALGORITHM or any(name not in form for name in names):
        raise CredentialsRefused(Fault.UNSIGNED)
    claim = read_credential(
        form["x-amz-credential"], form["x-amz-signature"], form["x-amz-date"], form.get("x-amz-security-token")
    )
    named = _named(form["policy"])
    extra = [name for name in form if name not in named and name not in _FREE and not name.startswith(_IGNORED)]
    if extra:
        raise CredentialsRefused(
            Fault.UNSIGNED, f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}"
        )
    return claim, form["policy"]


def _named(policy: str) -> set[str]:
    """The fields that the policy has a condition for."""
    try:
        document: Any = json.loads(base64.b64decode(policy))
        conditions = document["conditions"]
        names = [
            next(iter(each)) if isinstance(each, dict) else str(each[1]).removeprefix("$")
            for each in conditions
            if isinstance(each, dict | list)
        ]
    except (ValueError, KeyError, TypeError, IndexError, StopIteration):
        raise CredentialsRefused(Fault.MISMATCH) from None
    return {name.lower() for name in names}
