"""The metadata service's answers, without a host."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.ec2.metadata import Asked, InstanceView, Notice, Options, Profile, Told, answer

NOW_S = 1_800_000_000.0
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
PROFILE = Profile(
    "arn:aws:iam::111122223333:instance-profile/host", "AIPA1", "host", "arn:aws:iam::111122223333:role/host"
)
VIEW = InstanceView(
    id="i-1", account="111122223333", region="eu-west-1", ami_id="ami-1", instance_type="g5.xlarge", zone="eu-west-1a",
    private_ip="10.0.0.5", private_dns="ip-10-0-0-5.eu-west-1.compute.internal", reservation_id="r-1", state="running",
    launched_s=NOW_S, tags={"Name": "trainer"}, profile=PROFILE, user_data=b"#!/bin/sh\n",
)  # fmt: skip
REQUIRED = replace(VIEW, options=Options(needs_token=True))
KEYS = Credentials(PROFILE.role_arn, "ASIA1", "secret", "token", NOW_S + 3600)


def ask(
    path: str, view: InstanceView = VIEW, *, method: str = "GET", now_s: float = NOW_S, hops: int = 1,
    notice: Notice | None = None, credentials: Credentials | ApiError = KEYS, secret: bytes = b"secret",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Told:  # fmt: skip
    def give() -> Credentials:
        if isinstance(credentials, ApiError):
            raise credentials
        return credentials

    return answer(view, Asked(method, f"/latest/{path}", headers, hops), now_s, secret, notice, give)


def token(view: InstanceView = VIEW, ttl: str = "60", *, hops: int = 1) -> Told:
    return ask("api/token", view, method="PUT", hops=hops, headers={TTL: ttl})


def with_token(value: str, *, now_s: float = NOW_S, secret: bytes = b"secret") -> int:
    return ask("meta-data/instance-id", REQUIRED, now_s=now_s, secret=secret, headers={TOKEN: value}).status


@pytest.mark.parametrize("ttl", ["", "0", "21601", "-1", "x", "1.5"])
def test_a_token_lives_one_second_to_six_hours(ttl: str) -> None:
    assert token(ttl=ttl).status == 400


def test_a_token_opens_its_instance_until_it_ends() -> None:
    told = token()
    value = told.body.decode()
    assert (told.status, told.headers[TTL]) == (200, "60")
    assert with_token(value) == 200
    assert with_token(value, now_s=NOW_S + 60) == 401
    assert with_token(value, secret=b"of another instance") == 401
    assert with_token("forged") == with_token("é") == 401
    assert ask("meta-data/instance-id", REQUIRED).status == 401


def test_without_a_requirement_a_token_may_be_left_out() -> None:
    assert ask("meta-data/instance-id").body == b"i-1"


def test_a_forwarded_request_gets_no_token() -> None:
    headers = {TTL: "60", "x-forwarded-for": "10.0.0.9"}
    assert ask("api/token", method="PUT", headers=headers).status == 403


@pytest.mark.parametrize(("limit", "is_lost"), [(1, True), (2, False), (64, False)])
def test_the_hop_limit_ends_the_token_on_its_way_to_a_container(limit: int, is_lost: bool) -> None:
    view = replace(VIEW, options=Options(hop_limit=limit))
    assert token(view, hops=2).is_lost is is_lost
    assert not token(view).is_lost


def test_a_service_that_is_switched_off_answers_nothing() -> None:
    view = replace(VIEW, options=Options(is_enabled=False))
    assert ask("meta-data/instance-id", view).status == token(view).status == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("meta-data/placement/region", "eu-west-1"),
        ("meta-data/placement/", "availability-zone\nregion"),
        ("meta-data/instance-life-cycle", "on-demand"),
        ("meta-data/local-ipv4", "10.0.0.5"),
        ("meta-data/iam/security-credentials/", "host"),
        ("user-data", "#!/bin/sh\n"),
        ("", "dynamic/\nmeta-data/"),
    ],
)
def test_the_tree_has_texts_and_folders(path: str, body: str) -> None:
    assert ask(path).body.decode() == body


@pytest.mark.parametrize("path", ["meta-data/spot/instance-action", "meta-data/tags/instance/Name", "meta-data/no"])
def test_what_there_is_not_is_not_found(path: str) -> None:
    assert ask(path).status == 404


def test_tags_are_shown_where_the_options_say_so() -> None:
    view = replace(VIEW, options=Options(shows_tags=True))
    assert ask("meta-data/tags/instance/Name", view).body == b"trainer"


def test_a_notice_says_what_and_when() -> None:
    notice = Notice(1_505_722_920.0)
    body = ask("meta-data/spot/instance-action", notice=notice).body
    assert json.loads(body) == {"action": "terminate", "time": "2017-09-18T08:22:00Z"}  # AWS's example
    assert ask("meta-data/spot/termination-time", notice=notice).body == b"2017-09-18T08:22:00Z"


def test_credentials_are_the_role_s() -> None:
    found = json.loads(ask("meta-data/iam/security-credentials/host").body)
    assert (found["Code"], found["AccessKeyId"], found["SecretAccessKey"]) == ("Success", "ASIA1", "secret")
    assert (found["Token"], found["Expiration"]) == ("token", "2027-01-15T09:00:00Z")
    assert json.loads(ask("meta-data/iam/info").body)["InstanceProfileArn"] == PROFILE.arn


def test_a_role_that_ec2_may_not_assume_is_said() -> None:
    refused = ApiError("UnauthorizedOperation", "EC2 cannot assume the role host.", 403)
    found = json.loads(ask("meta-data/iam/security-credentials/host", credentials=refused).body)
    assert (found["Code"], found["Message"]) == ("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role host.")


def test_an_instance_without_a_profile_has_no_iam() -> None:
    view = replace(VIEW, profile=None)
    assert ask("meta-data/iam/info", view).status == 404
    assert ask("user-data", replace(VIEW, user_data=b"")).status == 404


def test_the_identity_document_is_of_the_instance() -> None:
    document = json.loads(ask("dynamic/instance-identity/document").body)
    assert (document["instanceId"], document["imageId"], document["region"]) == ("i-1", "ami-1", "eu-west-1")
    assert ask("meta-data", method="POST").status == ask("elsewhere", method="PUT").status == 405
