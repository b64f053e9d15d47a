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

from infra.errors import StepFailed

Target = Literal["local", "aws"]
DEFAULT_PORT = 4566  # LocalStack's
LOCAL_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
MAX_CONNECTIONS = 16


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


def connect(target: Target, region: str, environ: Mapping[str, str] = os.environ) -> Clients:
    """Clients for `target`; asks STS for the account. Raises StepFailed when the target cannot be meant."""
    endpoint = local_endpoint(environ) if target == "local" else None
    if target == "aws" and environ.get("AWS_ENDPOINT_URL"):
        raise StepFailed("The target is aws, but AWS_ENDPOINT_URL is set.", "Unset it, or use --target local.")
    session = boto3.Session(region_name=region)

    def client(service: str) -> Any:
        return make_client(session, service, endpoint)

    account = str(client("sts").get_caller_identity()["Account"])
    return Clients(
        target, region, endpoint, account, 0.25 if target == "local" else 5.0,
        s3=client("s3"), iam=client("iam"), logs=client("logs"),
        sagemaker=client("sagemaker"), runtime=client("sagemaker-runtime"), lambda_=client("lambda"),
        ecr=client("ecr"), autoscaling=client("application-autoscaling"), ec2=client("ec2"), ssm=client("ssm"),
    )  # fmt: skip


def make_client(session: Any, service: str, endpoint: str | None) -> Any:
    """One client: at `endpoint` with the local credentials, or AWS's own with the session's."""
    retries = {"mode": "standard", "total_max_attempts": 3}
    if endpoint is None:
        return session.client(service, config=Config(retries=retries, max_pool_connections=MAX_CONNECTIONS))
    # No proxy stands between this machine and its own loopback address, whatever the environment says.
    config = Config(
        retries=retries, max_pool_connections=MAX_CONNECTIONS, proxies={}, s3={"addressing_style": "path"},
        read_timeout=120,
    )  # fmt: skip
    return session.client(service, endpoint_url=endpoint, config=config, **LOCAL_CREDENTIALS)


def local_endpoint(environ: Mapping[str, str]) -> str:
    """AWS_ENDPOINT_URL if it is an address of this machine, else LocalStack's default with PORT. StepFailed else."""
    url = environ.get("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{environ.get('PORT') or DEFAULT_PORT}"
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
