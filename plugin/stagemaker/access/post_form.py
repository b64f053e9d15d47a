"""The signature of a form that is posted to a bucket: it signs the form's policy. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html; a signature of version 2 has
other fields. LocalStack checks the policy's conditions and its end, but neither its signature nor that it speaks of
every field.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.signature import ALGORITHM, Claim, read_credential
from stagemaker.access.signature_v2 import SESSION, OldClaim

_OLD, _NEW = ("awsaccesskeyid", "signature"), ("x-amz-credential", "x-amz-date", "x-amz-signature")
# Fields that the policy need not name, as those that begin with _IGNORED.
_FREE = ("policy", "file", "x-amz-signature", *_OLD)
_IGNORED = "x-ignore-"


def read_form(form: Mapping[str, str]) -> tuple[Claim | OldClaim, str] | None:
    """The form's claim and the text that it signs; None for a form that is not signed. `form` is without its file, by
    names in lower case. CredentialsRefused for a form that is signed otherwise, or has a field more than its policy."""
    if "policy" not in form:
        return None
    claim = _claim(form)
    named = _named(form["policy"])
    extra = [name for name in form if name not in named and name not in _FREE and not name.startswith(_IGNORED)]
    if extra:
        raise CredentialsRefused(
            Fault.UNSIGNED, f"Invalid according to Policy: Extra input fields: {', '.join(sorted(extra))}"
        )
    return claim, form["policy"]


def _claim(form: Mapping[str, str]) -> Claim | OldClaim:
    token, old, new = form.get(SESSION), [name in form for name in _OLD], [name in form for name in _NEW]
    if all(old) and not any(new):
        return OldClaim(form["awsaccesskeyid"], form["signature"], token)
    if form.get("x-amz-algorithm") != ALGORITHM or not all(new) or any(old):
        raise CredentialsRefused(Fault.UNSIGNED)
    return read_credential(form["x-amz-credential"], form["x-amz-signature"], form["x-amz-date"], token)


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
