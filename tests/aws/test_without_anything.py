"""`python -m infra --target aws` in an account that has nothing of ours, over AWS's own host names."""

import os
import subprocess
from pathlib import Path

from tests.aws.pretended_aws import PretendedAws

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".stagemaker" / "env" / "client" / "bin" / "python"
READING = ("Describe", "Get", "Head", "List")


def infra(aws: PretendedAws, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [PYTHON, "-m", "infra", *arguments, "--target", "aws"],
        cwd=ROOT, env={**kept, **aws.environment(), "COLUMNS": "300", **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def changing(aws: PretendedAws) -> list[str]:
    """The operations since the log was emptied that are not for reading."""
    return [call.operation for call in aws.calls() if not call.operation.startswith(READING)]


def test_a_destruction_proves_that_nothing_is_left(aws: PretendedAws) -> None:
    aws.forget()
    code, said = infra(aws, "destroy", "--project", "never-made")
    assert code == 0, said
    assert "AWS account 000000000000, region us-east-1, as arn:aws:iam::000000000000:user/" in said
    assert "Nothing was there to delete." in said
    assert "Nothing is left with the tag stagemaker:project=never-made." in said
    assert changing(aws) == []


def test_the_account_of_the_preset_is_checked_before_anything(aws: PretendedAws, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text('project = "never-made"\naccount = "123456789012"\n')
    aws.forget()
    code, said = infra(aws, "destroy", "--preset", str(preset), "--yes")
    assert code == 1
    assert "The credentials are of account 000000000000, and the settings name account 123456789012." in said
    assert [call.operation for call in aws.calls()] == ["GetCallerIdentity"]


def test_credentials_that_aws_does_not_know_are_explained(aws: PretendedAws) -> None:
    code, said = infra(aws, "status", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE")
    assert code == 1
    assert "Failed: AWS does not accept the credentials (InvalidClientTokenId:" in said
