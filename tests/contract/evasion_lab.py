"""Somebody who may do little, or everything but some things, and what they are not allowed to reach.

Requests are signed by botocore's signers and then changed, and sent byte by byte.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.contract.gateway import REGION, SERVER, Gateway, make_bucket, make_role
from tests.contract.localstack_process import ROOT
from tests.contract.raw_http import RawAnswer, ask

ACCOUNT, OTHER_ACCOUNT = "000000000000", "111111111111"
FLAG = b"the-flag-of-the-secret"
BUCKET, OTHER_BUCKET = "evasion", "evasion-other"
SECRET_KEY = "secret/flag"
MODEL, FUNCTION, QUEUE, REPOSITORY = "evasion-secret", "evasion-secret", "evasion-secret", "evasion-secret"
NAMESPACE, GROUP = "evasion-secret", "/evasion/secret"
ADMIN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/evasion-admin"
SECRET_ROLE = f"arn:aws:iam::{ACCOUNT}:role/evasion-secret"


def _arn(service: str, resource: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{resource}"


MODEL_ARN, FUNCTION_ARN = _arn("sagemaker", f"model/{MODEL}"), _arn("lambda", f"function:{FUNCTION}")
# Who may do little.
FEW_RIGHTS: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/public/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}",
     "Condition": {"StringEquals": {"s3:prefix": "public/"}}},
    {"Effect": "Allow", "Action": "sagemaker:DescribeModel", "Resource": _arn("sagemaker", "model/evasion-open")},
    {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": _arn("lambda", "function:evasion-open")},
    {"Effect": "Allow", "Action": "iam:GetUser", "Resource": f"arn:aws:iam::{ACCOUNT}:user/evasion-few"},
    {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
     "Condition": {"StringEquals": {"cloudwatch:namespace": "evasion-open"}}},
    {"Effect": "Allow", "Action": "sqs:*", "Resource": _arn("sqs", "evasion-open")},
    {"Effect": "Allow", "Action": "sagemaker:CreateModel", "Resource": _arn("sagemaker", "model/evasion-made")},
]  # fmt: skip
# Who may do everything but this: a text that the decision does not see as the service does would pass.
ALL_BUT: list[dict[str, Any]] = [
    {"Effect": "Allow", "Action": "*", "Resource": "*"},
    {"Effect": "Deny", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{BUCKET}/secret/*",
     f"arn:aws:s3:::{OTHER_BUCKET}*"]},
    {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}",
     "Condition": {"StringLike": {"s3:prefix": "secret*"}}},
    {"Effect": "Deny", "Action": "sagemaker:*", "Resource": MODEL_ARN},
    {"Effect": "Deny", "Action": "lambda:*", "Resource": [FUNCTION_ARN, f"{FUNCTION_ARN}:*"]},
    {"Effect": "Deny", "Action": "ecr:*", "Resource": _arn("ecr", f"repository/{REPOSITORY}")},
    {"Effect": "Deny", "Action": "logs:*", "Resource": [_arn("logs", f"log-group:{GROUP}"),
     _arn("logs", f"log-group:{GROUP}:*")]},
    {"Effect": "Deny", "Action": "iam:*", "Resource": [SECRET_ROLE, f"arn:aws:iam::{ACCOUNT}:user/*"]},
    {"Effect": "Deny", "Action": "cloudwatch:PutMetricData", "Resource": "*",
     "Condition": {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}},
    {"Effect": "Deny", "Action": "sqs:*", "Resource": [_arn("sqs", QUEUE), _arn("sqs", QUEUE, OTHER_ACCOUNT)]},
]  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """An access key, with the token of a session."""

    access_key_id: str
    secret: str
    token: str | None = None

    def changed(self, **changes: Any) -> "Keys":
        """With other parts."""
        return Keys(**{**vars(self), **changes})


@dataclass(frozen=True)
class Signed:
    """A request that can be sent, as its signer made it."""

    method: str
    target: str  # the path and the query, as they stand in the first line
    headers: Mapping[str, str]
    body: bytes = b""

    def changed(self, headers: Mapping[str, str | None] | None = None, **changes: Any) -> "Signed":
        """With other parts; of `headers`, None takes a header away."""
        merged = {**self.headers, **(headers or {})}
        kept = {name: value for name, value in merged.items() if value is not None}
        return Signed(**{**vars(self), "headers": kept, **changes})


@dataclass(frozen=True)
class Lab:
    """A strict LocalStack, and those who call it."""

    gateway: Gateway
    few: Keys  # may do little
    most: Keys  # may do everything but
    revoked: Keys  # of a user who had all rights
    inactive: Keys
    deleted: Keys
    admin_session: Keys
    gone_session: Keys  # of a role that was deleted
    function_url: str
    upload_id: str  # of an upload in parts to where they may write

    def sign(
        self, keys: Keys, service: str, method: str, target: str, headers: Mapping[str, str] | None = None,
        body: bytes = b"", region: str = REGION, auth: Any = None,
    ) -> Signed:  # fmt: skip
        """As botocore signs. `target` is sent as it is written."""
        request = AWSRequest(method, self.gateway.url + target, headers=dict(headers or {}), data=body)
        credentials = Credentials(keys.access_key_id, keys.secret, keys.token)
        made = auth or (S3SigV4Auth if service == "s3" else SigV4Auth)
        made(credentials, service, region).add_auth(request)
        return Signed(method, target, dict(request.headers.items()), body)

    def presign(self, keys: Keys, method: str, target: str, expires_s: int = 600, region: str = REGION) -> Signed:
        """A URL of S3 with its signature."""
        request = AWSRequest(method, self.gateway.url + target)
        S3SigV4QueryAuth(Credentials(keys.access_key_id, keys.secret, keys.token), "s3", region, expires_s).add_auth(
            request
        )
        return self._in_query(method, request)

    def sign_version_2(self, keys: Keys, method: str, target: str, *, in_query: bool) -> Signed:
        """As S3's old clients sign."""
        request = AWSRequest(method, self.gateway.url + target, auth_path=target)
        credentials = Credentials(keys.access_key_id, keys.secret, keys.token)
        if in_query:
            HmacV1QueryAuth(credentials).add_auth(request)
            return self._in_query(method, request)
        HmacV1Auth(credentials).add_auth(request)
        return Signed(method, target, dict(request.headers.items()))

    def json_call(self, keys: Keys, operation: str, request: Mapping[str, Any], **more: Any) -> Signed:
        """Of SageMaker, or with `target_prefix`, `version` and `service` of another service with this protocol."""
        headers = {
            "Content-Type": f"application/x-amz-json-{more.pop('version', '1.1')}",
            "X-Amz-Target": f"{more.pop('target_prefix', 'SageMaker')}.{operation}",
        }
        service = more.pop("service", "sagemaker")
        return self.sign(keys, service, "POST", "/", headers, json.dumps(request).encode(), **more)

    def query_call(self, keys: Keys, service: str, version: str, action: str, **members: str) -> Signed:
        """Of a service with the query protocol."""
        body = urlencode({"Action": action, "Version": version, **members}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.sign(keys, service, "POST", "/", headers, body)

    def client(self, keys: Keys, service: str) -> Any:
        """A boto3 client."""
        return _client(self.gateway, keys, service)

    def send(self, request: Signed) -> RawAnswer:
        """What it gets."""
        return ask(self.gateway.url, request.method, request.target, request.headers, request.body)

    def _in_query(self, method: str, request: AWSRequest) -> Signed:
        url = urlsplit(request.url)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        return Signed(method, f"{url.path}?{url.query}", headers)


def make_lab(gateway: Gateway) -> Lab:
    """With its users, roles and resources; those of the strict gateway that others made are left alone."""
    iam, s3 = gateway.client("iam"), gateway.client("s3")
    make_bucket(gateway, BUCKET, {SECRET_KEY: FLAG, "public/open": b"open"})
    gateway.client("s3", OTHER_ACCOUNT).create_bucket(
        Bucket=OTHER_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    gateway.client("s3", OTHER_ACCOUNT).put_object(Bucket=OTHER_BUCKET, Key="flag", Body=FLAG)
    s3.put_bucket_website(Bucket=BUCKET, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    role = make_role(gateway, "evasion-secret", "lambda.amazonaws.com")
    service_role = make_role(gateway, "evasion-service")
    gateway.client("sagemaker").create_model(
        ModelName=MODEL, ExecutionRoleArn=service_role,
        PrimaryContainer={"Image": SERVER, "Environment": {"FLAG": FLAG.decode()}},
    )  # fmt: skip
    environment = gateway.localstack.folder.parent / "environments" / "lambda"
    if not environment.exists():
        environment.symlink_to(ROOT / ".stagemaker" / "env" / "lambda")
    functions = gateway.client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", f"def handler(event, context):\n    return {FLAG.decode()!r}\n")
    functions.create_function(
        FunctionName=FUNCTION, Role=role, Runtime="python3.13", Handler="main.handler",
        Timeout=60, Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"FLAG": FLAG.decode()}},
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName=FUNCTION, WaiterConfig={"Delay": 1})
    url = functions.create_function_url_config(FunctionName=FUNCTION, AuthType="AWS_IAM")["FunctionUrl"]
    gateway.client("ecr").create_repository(repositoryName=REPOSITORY)
    logs = gateway.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
    for account in (ACCOUNT, OTHER_ACCOUNT):
        sqs = gateway.client("sqs", account)
        queue = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody=FLAG.decode())
    most = _user(iam, "evasion-most", ALL_BUT)
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    revoked = _user(iam, "evasion-revoked", everything)
    iam.delete_user_policy(UserName="evasion-revoked", PolicyName="rights")
    inactive = _user(iam, "evasion-inactive", everything)
    iam.update_access_key(UserName="evasion-inactive", AccessKeyId=inactive.access_key_id, Status="Inactive")
    deleted = _user(iam, "evasion-deleted", everything)
    iam.delete_access_key(UserName="evasion-deleted", AccessKeyId=deleted.access_key_id)
    iam.delete_user_policy(UserName="evasion-deleted", PolicyName="rights")
    iam.delete_user(UserName="evasion-deleted")
    return Lab(
        gateway,
        few=_user(iam, "evasion-few", FEW_RIGHTS),
        most=most,
        revoked=revoked,
        inactive=inactive,
        deleted=deleted,
        admin_session=_session(gateway, most, "evasion-admin", everything),
        gone_session=_gone(gateway, most, everything),
        function_url=url,
        upload_id=s3.create_multipart_upload(Bucket=BUCKET, Key="public/parts")["UploadId"],
    )


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _client(gateway: Gateway, keys: Keys, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=gateway.url,
        region_name=REGION,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret,
        aws_session_token=keys.token,
        config=Config(signature_version="s3v4" if service == "s3" else None),
    )


def _user(iam: Any, name: str, statements: list[dict[str, Any]]) -> Keys:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=_document(statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(key["AccessKeyId"], key["SecretAccessKey"])


def _session(gateway: Gateway, keys: Keys, role: str, statements: list[dict[str, Any]]) -> Keys:
    iam = gateway.client("iam")
    trust = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="rights", PolicyDocument=_document(statements))
    sts = _client(gateway, keys, "sts")
    given = sts.assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    return Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _gone(gateway: Gateway, keys: Keys, statements: list[dict[str, Any]]) -> Keys:
    session = _session(gateway, keys, "evasion-gone", statements)
    gateway.client("iam").delete_role_policy(RoleName="evasion-gone", PolicyName="rights")
    gateway.client("iam").delete_role(RoleName="evasion-gone")
    return session
