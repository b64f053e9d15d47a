"""`plan --target aws`: all that it asks of AWS only tells, from the first call to the last."""

import json
import os
import subprocess
from pathlib import Path

from infra.paths import CHECKOUT, paths
from tests.aws.pretended_aws import PretendedAws

CLIENT = paths({}).environments / "client" / "bin" / "python"
READING = ("Describe", "Get", "Head", "List")


def test_a_plan_for_aws_changes_nothing(aws: PretendedAws, tmp_path: Path) -> None:
    aws.forget()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    planned = subprocess.run(
        [str(CLIENT), "-m", "infra", "plan", "--target", "aws", "--preset", "e", "--json"],
        cwd=CHECKOUT,
        env=kept | aws.environment() | {"STAGEMAKER_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr
    document = json.loads(planned.stdout)
    assert {step["action"] for step in document["plan"]["steps"]} == {"create"}
    asked = {(call.service, call.operation) for call in aws.calls()}
    assert {pair for pair in asked if not pair[1].startswith(READING)} == set()
    assert {"pricing", "service-quotas", "s3", "iam", "sagemaker", "lambda"} <= {service for service, _ in asked}
    assert document["cost"]["unknown"] == []
    assert document["quotas"]["needs"]
