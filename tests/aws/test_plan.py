"""`plan --target aws`: all that it asks of AWS only tells, from the first call to the last."""

from pathlib import Path

from tests.aws.deploys import changing, document, run
from tests.aws.pretended_aws import PretendedAws


def test_a_plan_for_aws_changes_nothing(aws: PretendedAws, tmp_path: Path) -> None:
    aws.forget()
    arguments = "plan", "--preset", "e", "--json"
    code, said = run(aws, *arguments, STAGEMAKER_STATE=str(tmp_path / "state"))
    assert code == 0, said
    found = document(said)
    assert {step["action"] for step in found["plan"]["steps"]} == {"create"}
    asked = {(call.service, call.operation) for call in aws.calls()}
    assert changing(aws) == []
    assert {"pricing", "service-quotas", "s3", "iam", "sagemaker", "lambda"} <= {service for service, _ in asked}
    assert found["cost"]["unknown"] == []
    assert found["quotas"]["needs"]
