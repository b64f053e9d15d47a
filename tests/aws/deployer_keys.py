"""Credentials of the deployer's role, and what of it a run did not need."""

import json
from dataclasses import replace
from typing import Any

import boto3

from infra import policy
from infra.blueprint import Blueprint
from infra.clients import connect
from infra.deployer import NOT_IN_EVERY_DEPLOYMENT, deployer
from infra.roles import POLICY_NAME
from infra.settings import DeploymentSettings
from stagemaker.access.match import read_wildcards, runs_fit
from tests.aws.pretended_aws import REGION, Keys, PretendedAws
from tests.contract.gateway import Gateway
from tests.contract.users import unique

_ACCOUNT = "000000000000"
_CLIENT = {"service_name": "sts", "region_name": REGION}


def blueprint_of(project: str) -> Blueprint:
    """Of a project in the stage's account; the deployer's role needs no more."""
    return Blueprint(replace(DeploymentSettings(), project=project), _ACCOUNT, data_digest="")


def deployer_keys(aws: PretendedAws, gateway: Gateway, project: str) -> Keys:
    """A new role of the project's deployer, taken by a user who may do nothing but that."""
    role, arn, iam = deployer(blueprint_of(project)), blueprint_of(project).role_arn("deployer"), aws.client("iam")
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=json.dumps(role.trust))
    iam.put_role_policy(RoleName=role.name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(role.policy))
    user = {"UserName": unique("who-deploys")}
    iam.create_user(**user)
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(**user, PolicyName="assume", PolicyDocument=document)
    key = iam.create_access_key(**user)["AccessKey"]
    sts: Any = boto3.client(
        **_CLIENT,
        endpoint_url=gateway.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    found = sts.assume_role(RoleArn=arn, RoleSessionName="deploys")["Credentials"]
    return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def check_the_deployer_was_enough(gateway: Gateway, project: str) -> None:
    """Nothing was refused to it, and it has no action that was not used, but for those that have a reason."""
    blueprint = blueprint_of(project)
    clients = connect("local", REGION, {"AWS_ENDPOINT_URL": gateway.url})
    report = policy.ask(clients, Principal=blueprint.role_arn("deployer"))
    if report["Refused"]:
        raise AssertionError(f"refused: {report['Refused']}")
    used = [pair for statement in report["Policy"]["Statement"] for pair in _pairs(statement)]
    unused = {
        action
        for statement in deployer(blueprint).statements
        for action in statement.actions
        if not {statement.sid, action} & NOT_IN_EVERY_DEPLOYMENT.keys()
        and not any(_is_used(action, statement.resources, pair) for pair in used)
    }
    if unused:
        raise AssertionError(f"not used: {', '.join(sorted(unused))}")


def _pairs(statement: Any) -> list[tuple[str, str]]:
    resources = statement["Resource"]
    listed = [resources] if isinstance(resources, str) else resources
    return [(action, about) for action in statement["Action"] for about in listed]


def _is_used(action: str, resources: tuple[str, ...], used: tuple[str, str]) -> bool:
    return action == used[0] and any(runs_fit(read_wildcards(granted), used[1]) for granted in resources)
