"""Ten policies of twenty statements, for the benchmark of IAM."""

import json
from typing import Any

STATEMENTS = 20
SERVICES = ("sagemaker", "lambda", "logs", "cloudwatch", "ecr", "sqs", "sns", "dynamodb", "kinesis", "glue")
ACCOUNT, NAME = "000000000000", "bench"


def documents() -> list[str]:
    """Ten policies of twenty statements, each policy for one service."""
    return [
        json.dumps({"Version": "2012-10-17", "Statement": [_statement(service, n) for n in range(STATEMENTS)]})
        for service in SERVICES
    ]


def _statement(service: str, number: int) -> dict[str, Any]:
    actions = [f"{service}:Get{number}*", f"{service}:Put{number}", f"{service}:List{number}"]
    made: dict[str, Any] = {
        "Effect": "Allow", "Action": actions, "Resource": f"arn:aws:{service}:*:{ACCOUNT}:thing/{number}-*",
    }  # fmt: skip
    if number % 2:
        made["Condition"] = {"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"}}
    return made
