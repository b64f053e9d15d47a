"""Who may call a function URL. Pure.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html. Even an address of AuthType NONE is closed until a
statement of the function's policy lets everybody call it; since October 2025 it must allow two actions.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stagemaker.access.evaluate import Outcome, Policies, decide
from stagemaker.access.policy import read_policy
from stagemaker.access.request import AccessRequest, Principal, read_context

ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
_ANYBODY = Principal("anonymous")  # no statement but one for everyone names it
_SIGNED = "AWS4-HMAC-SHA256 "
_SERVICE = "/lambda/aws4_request"


def url_refusal(
    auth_type: str, arn: str, statements: Sequence[Mapping[str, Any]], headers: Mapping[str, str], query: str
) -> str | None:
    """Why the call is forbidden, in one sentence, or None. `arn` is the function's, with the alias of the URL;
    `statements` are those of its policy. The signature itself is not verified, and no policy of the caller is asked."""
    if auth_type == "AWS_IAM":
        signed = headers.get("Authorization", "")
        is_signed = signed.startswith(_SIGNED) and _SERVICE in signed
        return (
            None if is_signed or "X-Amz-Signature=" in query else "the request must be signed for the service lambda."
        )
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    context = read_context({"lambda:FunctionUrlAuthType": auth_type, "lambda:InvokedViaFunctionUrl": "true"})
    for action in ACTIONS:
        request = AccessRequest(_ANYBODY, action, arn, arn.split(":")[4], context)
        if decide(request, Policies(resource=read_policy(document))).outcome is not Outcome.ALLOWED:
            return f"the policy of the function lets nobody {action}: add it by `aws lambda add-permission`."
    return None
