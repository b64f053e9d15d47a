"""`python -m infra --target aws` in an account that has nothing of ours, over AWS's own host names."""

from pathlib import Path

from tests.aws.deploys import changing, run
from tests.aws.pretended_aws import PretendedAws


def test_a_destruction_proves_that_nothing_is_left(aws: PretendedAws) -> None:
    aws.forget()
    code, said = run(aws, "destroy", "--project", "never-made")
    assert code == 0, said
    assert "AWS account 000000000000, region us-east-1, as arn:aws:iam::000000000000:user/" in said
    assert "Nothing was there to delete." in said
    assert "Nothing is left with the tag stagemaker:project=never-made." in said
    assert changing(aws) == []


def test_the_account_of_the_preset_is_checked_before_anything(aws: PretendedAws, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text('project = "never-made"\naccount = "123456789012"\n')
    aws.forget()
    code, said = run(aws, "destroy", "--preset", str(preset), "--yes")
    assert code == 1
    assert "The credentials are of account 000000000000, and the settings name account 123456789012." in said
    assert [call.operation for call in aws.calls()] == ["GetCallerIdentity"]


def test_credentials_that_aws_does_not_know_are_explained(aws: PretendedAws) -> None:
    code, said = run(aws, "status", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE")
    assert code == 1
    assert "Failed: AWS does not accept the credentials (InvalidClientTokenId:" in said
