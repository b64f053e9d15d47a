"""The credentials of a profile that assumes a role, as a user's own configuration has it."""

import json
import uuid
from pathlib import Path

from tests.aws.deploys import run
from tests.aws.pretended_aws import PretendedAws


def configured(aws: PretendedAws, folder: Path, role_arn: str, more: str = "") -> dict[str, str]:
    """The environment that chooses a profile which assumes the role with the keys of another; no keys are in it."""
    path = folder / "config"
    path.write_text(
        f"[profile keys]\naws_access_key_id = {aws.keys.access_key_id}\naws_secret_access_key = {aws.keys.secret}\n"
        f"[profile deployer]\nrole_arn = {role_arn}\nsource_profile = keys\n{more}"
    )
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    return {**none, "AWS_CONFIG_FILE": str(path), "AWS_PROFILE": "deployer"}


def test_a_profile_takes_its_role_before_it_deploys(aws: PretendedAws, tmp_path: Path) -> None:
    name = f"taken-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    iam, document = aws.client("iam"), json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    code, said = run(aws, "status", **configured(aws, tmp_path, role))
    assert code == 0, said
    assert f":assumed-role/{name}/" in said
    iam.delete_role(RoleName=name)


def test_a_role_that_cannot_be_taken_is_told_with_what_may_lack(aws: PretendedAws, tmp_path: Path) -> None:
    none = "arn:aws:iam::000000000000:role/there-is-none"
    code, said = run(aws, "status", **configured(aws, tmp_path, none))
    assert code == 1
    assert "Failed: The role of the profile cannot be assumed (AccessDenied: " in said
    assert "do you need an MFA code" in said


def test_a_code_is_not_asked_for_where_nobody_can_type_it(aws: PretendedAws, tmp_path: Path) -> None:
    mfa = "mfa_serial = arn:aws:iam::000000000000:mfa/somebody\n"
    code, said = run(aws, "status", **configured(aws, tmp_path, "arn:aws:iam::000000000000:role/any", mfa))
    assert code == 1
    assert "Failed: The profile asks for an MFA code, and there is no terminal to ask at." in said
    assert "Next: Run this at a terminal, or set AWS_SESSION_TOKEN and its keys: aws sts get-session-token" in said
