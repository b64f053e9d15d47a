"""Users, sessions of roles and their clients, for the tests of who may do what."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.gateway import REGION, Gateway

EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def make_user(gateway: Gateway, name: str, policy: Mapping[str, Any] | None = EVERYTHING) -> dict[str, str]:
    """A user with the inline policy `rights`, if any; the access key: AccessKeyId and SecretAccessKey."""
    iam = gateway.client("iam")
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    key: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return key


def make_trusting_role(
    gateway: Gateway, name: str, principal: str, *, account: str = "000000000000", **settings: Any
) -> str:
    """A role with every right that the user, role or account of the ARN may assume; its ARN."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    trust = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam = gateway.client("iam", account)
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **settings)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(EVERYTHING))
    return arn


def client_of(gateway: Gateway, service: str, key: Mapping[str, Any], **config: Any) -> Any:
    """A boto3 client that signs with the key, without retries and checks of its own."""
    return boto3.client(
        service,
        endpoint_url=gateway.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config),
    )


def identity(gateway: Gateway, key: Mapping[str, Any]) -> tuple[str, str, str]:
    """What GetCallerIdentity says of the key: ARN, UserId and account."""
    found = client_of(gateway, "sts", key).get_caller_identity()
    return found["Arn"], found["UserId"], found["Account"]


def error_of(call: Any, *arguments: Any, **members: Any) -> tuple[str, int, str]:
    """Code, status and message of what the call raises."""
    try:
        call(*arguments, **members)
    except ClientError as error:
        answer: Any = error.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message", "")
    raise AssertionError("nothing was refused")
