"""The one place that chooses LocalStack or AWS: everything else gets boto3 clients and cannot tell.

A local client never reaches AWS: its endpoint is a loopback address or it is not made, and its credentials are the
fixed ones below, whatever the user's profile says.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import credentials
from infra.errors import StepFailed

Target = Literal["local", "aws"]
DEFAULT_PORT = 4566  # LocalStack's
LOCAL_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
MAX_CONNECTIONS = 16
AWS_ATTEMPTS = 10  # (ours) for one call


@dataclass(frozen=True)
class Clients:
    """boto3 clients of one target and region, and the account behind them. `poll_s` is how often to ask for a
    status: often on this machine, seldom on AWS, which throttles."""

    target: Target
    region: str
    endpoint: str | None
    account: str
    poll_s: float
    s3: Any
    iam: Any
    logs: Any
    sagemaker: Any
    runtime: Any
    lambda_: Any
    ecr: Any
    autoscaling: Any
    ec2: Any
    ssm: Any
    tagging: Any
    caller: str = ""  # the ARN of who calls
    session: Any = None  # boto3's, with the credentials of the others

    def other(self, service: str, region: str) -> Any:
        """A client of a service that few commands need, perhaps in another region."""
        return make_client(self.session, service, self.endpoint, region)


def connect(
    target: Target, region: str, environ: Mapping[str, str] = os.environ, account: str | None = None
) -> Clients:
    """Clients for `target`; asks STS whose credentials they are. Raises StepFailed when the target cannot be meant, the
    credentials are not taken, or, on AWS, they are of another account than `account`."""
    endpoint = local_endpoint(environ) if target == "local" else None
    if target == "aws" and (wrong := sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL"))):
        raise StepFailed(f"The target is aws, but {wrong[0]} is set.", "Unset it, or use --target local.")
    try:
        session = boto3.Session(region_name=region)
        identity = make_client(session, "sts", endpoint).get_caller_identity()
    except (BotoCoreError, ClientError, EOFError) as error:
        raise credentials.explain(error, environ) or error from error
    if target == "aws" and account not in (None, identity["Account"]):
        raise StepFailed(
            f"The credentials are of account {identity['Account']}, and the settings name account {account}.",
            "Choose a profile of that account (AWS_PROFILE=...), or change `account` in the preset.",
        )

    def client(service: str) -> Any:
        return make_client(session, service, endpoint)

    return Clients(
        target, region, endpoint, str(identity["Account"]), 0.25 if target == "local" else 5.0,
        s3=client("s3"), iam=client("iam"), logs=client("logs"),
        sagemaker=client("sagemaker"), runtime=client("sagemaker-runtime"), lambda_=client("lambda"),
        ecr=client("ecr"), autoscaling=client("application-autoscaling"), ec2=client("ec2"), ssm=client("ssm"),
        tagging=client("resourcegroupstaggingapi"), caller=str(identity["Arn"]), session=session,
    )  # fmt: skip


def make_client(session: Any, service: str, endpoint: str | None, region: str | None = None) -> Any:
    """One client: at `endpoint` with the local credentials, or AWS's own with the session's, and its region unless
    another is given. AWS throttles callers, so a client of it slows down and tries again more often; an address that a
    profile gives is not used."""
    if endpoint is None:
        config = Config(
            retries={"mode": "adaptive", "total_max_attempts": AWS_ATTEMPTS}, max_pool_connections=MAX_CONNECTIONS,
            ignore_configured_endpoint_urls=True,
        )  # fmt: skip
        return session.client(service, region_name=region, config=config)
    retries = {"mode": "standard", "total_max_attempts": 3}
    # No proxy stands between this machine and its own loopback address, whatever the environment says.
    config = Config(
        retries=retries, max_pool_connections=MAX_CONNECTIONS, proxies={}, s3={"addressing_style": "path"},
        read_timeout=120,
    )  # fmt: skip
    return session.client(
        service, region_name=region, endpoint_url=endpoint, config=config, **LOCAL_CREDENTIALS
    )  # fmt: skip


def chosen_port(environ: Mapping[str, str], variable: str = "PORT", default: int = DEFAULT_PORT) -> int:
    """What the variable says, or the default. Raises StepFailed when it is not a port that a user may bind."""
    text = environ.get(variable) or str(default)
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise StepFailed(
            f"{variable}={text} is not a port from 1024 to 65535.", f"Choose one: {variable}={default + 34}"
        )
    return int(text)


def local_endpoint(environ: Mapping[str, str]) -> str:
    """AWS_ENDPOINT_URL if it is an address of this machine, else LocalStack's default with PORT. StepFailed else."""
    url = environ.get("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{chosen_port(environ)}"
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme not in ("http", "https") or not _is_loopback(host):
        raise StepFailed(
            f"AWS_ENDPOINT_URL={url} is not an address of this machine, and the target local never leaves it.",
            f"Set AWS_ENDPOINT_URL=http://127.0.0.1:{DEFAULT_PORT}, or unset it.",
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
