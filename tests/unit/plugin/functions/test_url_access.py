"""Who may call a function URL."""

from typing import Any

import pytest

from stagemaker.functions.url_access import url_refusal

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f:live"
SIGNED = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def statement(action: str, **more: Any) -> dict[str, Any]:
    return {"Sid": action[7:], "Effect": "Allow", "Principal": "*", "Action": action, "Resource": ARN, **more}


URL = statement("lambda:InvokeFunctionUrl", Condition={"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}})
FUNCTION = statement("lambda:InvokeFunction", Condition={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}})


def test_everybody_may_call_what_the_policy_opens() -> None:
    assert url_refusal("NONE", ARN, [URL, FUNCTION], {}, "") is None


@pytest.mark.parametrize(
    ("statements", "missing"),
    [
        ([], "lambda:InvokeFunctionUrl"),
        ([URL], "lambda:InvokeFunction:"),
        ([FUNCTION], "lambda:InvokeFunctionUrl"),
        ([URL | {"Resource": ARN.removesuffix(":live")}, FUNCTION], "lambda:InvokeFunctionUrl"),
        ([URL | {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, FUNCTION], "lambda:InvokeFunctionUrl"),
        ([URL | {"Principal": {"Service": "events.amazonaws.com"}}, FUNCTION], "lambda:InvokeFunctionUrl"),
        (
            [URL | {"Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}}, FUNCTION],
            "lambda:InvokeFunctionUrl",
        ),
    ],
)
def test_what_the_policy_does_not_open_is_closed(statements: list[dict[str, Any]], missing: str) -> None:
    refusal = url_refusal("NONE", ARN, statements, {}, "")
    assert refusal is not None
    assert missing in refusal


def test_a_url_of_aws_iam_takes_signed_calls() -> None:
    def refused(headers: dict[str, str], query: str = "") -> bool:
        return url_refusal("AWS_IAM", ARN, [URL, FUNCTION], headers, query) is not None

    assert refused({})
    assert refused({"Authorization": "Bearer token"})
    assert refused({"Authorization": SIGNED.format("sagemaker")})
    assert not refused({"Authorization": SIGNED.format("lambda")})
    assert not refused({}, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0")
