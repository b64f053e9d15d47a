"""Users and roles with policies, and clients of theirs, on a LocalStack that enforces IAM."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from tests.contract.gateway import REGION, Gateway


@dataclass(frozen=True)
class User:
    """An IAM user with an access key."""

    gateway: Gateway
    name: str
    arn: str
    access_key_id: str
    secret: str
    account: str

    def client(self, service: str, **settings: Any) -> Any:
        """A client that signs with the user's key, without retries."""
        return client_of(self.gateway, service, self.access_key_id, self.secret, **settings)

    def allow(self, *statements: Mapping[str, Any]) -> None:
        """Replace the user's inline policy; without statements there is none."""
        iam = self.gateway.client("iam", self.account)
        if statements:
            iam.put_user_policy(UserName=self.name, PolicyName="test", PolicyDocument=policy(*statements))
        else:
            iam.delete_user_policy(UserName=self.name, PolicyName="test")


def make_user(gateway: Gateway, *statements: Mapping[str, Any], account: str = "000000000000") -> User:
    """A new user whose inline policy has the statements."""
    iam, name = gateway.client("iam", account), unique("user")
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = User(gateway, name, arn, key["AccessKeyId"], key["SecretAccessKey"], account)
    if statements:
        user.allow(*statements)
    return user


def client_of(
    gateway: Gateway, service: str, access_key_id: str, secret: str, token: str | None = None, **settings: Any
) -> Any:
    """A boto3 client with these credentials, without retries."""
    return boto3.client(
        service,
        endpoint_url=gateway.url,
        region_name=REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **settings),
    )


def assumed(gateway: Gateway, sts: Any, role_arn: str, service: str, **more: Any) -> Any:
    """A client of the role's session."""
    made = sts.assume_role(RoleArn=role_arn, RoleSessionName="test", **more)["Credentials"]
    return client_of(gateway, service, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def allow(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: Any) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions: str | Sequence[str], resources: str | Sequence[str] = "*", **more: Any) -> dict[str, Any]:
    """A statement."""
    return {**allow(actions, resources, **more), "Effect": "Deny"}


def policy(*statements: Mapping[str, Any]) -> str:
    """A document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def unique(prefix: str) -> str:
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"
