"""`deploy --target aws` from end to end, in an account that has nothing of ours at first and at the end."""

import uuid
from pathlib import Path

from tests.aws.deploys import changing, run
from tests.aws.pretended_aws import PretendedAws


def test_a_deployment_from_empty_to_clean(aws: PretendedAws, images: None, small_digits: Path) -> None:
    chosen = "--preset", "e", "--project", f"d{uuid.uuid4().hex[:8]}"
    deploy = "deploy", *chosen, "--data", str(small_digits)
    code, said = run(aws, *deploy)
    assert code == 0, said
    assert "12 of 12 steps changed something." in said

    aws.forget()
    code, said = run(aws, *deploy)
    assert code == 0, said
    assert "Nothing changed: all is as planned." in said
    assert changing(aws) == []

    code, said = run(aws, "destroy", *chosen)
    assert code == 1
    assert "There is no terminal to ask at" in said
    assert changing(aws) == []

    code, said = run(aws, "destroy", *chosen, YES="1")
    assert code == 0, said
    assert f"Nothing is left with the tag stagemaker:project={chosen[-1]}." in said
