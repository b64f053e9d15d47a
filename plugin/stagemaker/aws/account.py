"""S3, IAM and STS as a job or an endpoint needs them, through the gateway. The only importer of boto3 here."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope

SAGEMAKER = "sagemaker.amazonaws.com"
PARALLEL_DOWNLOADS = 4  # LocalStack answers from one process: more only wait for each other
_TRANSFER = TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=32 << 20, max_concurrency=2)
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=16,
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Clients:
    """boto3 clients of the gateway, one for each service, account and region, made once. Thread-safe."""

    def __init__(self, gateway_url: str) -> None:
        self.gateway_url = gateway_url
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, Scope], Any] = {}

    def __call__(self, service: str, scope: Scope) -> Any:
        """A client with the rights of the account itself: LocalStack reads an access key of 12 digits as its number."""
        with self._lock:
            if (service, scope) not in self._clients:
                session = boto3.session.Session(scope.account, "stagemaker", region_name=scope.region)
                self._clients[service, scope] = session.client(service, endpoint_url=self.gateway_url, config=_CONFIG)
            return self._clients[service, scope]


class Aws:
    """What SageMaker does in the caller's account. Thread-safe. All methods raise ApiError with one clear sentence."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def role_environment(self, scope: Scope, role_arn: str) -> dict[str, str]:
        """The environment that gives a container the role's credentials and the gateway.

        ValidationException, in AWS's words, when the role does not exist or does not trust SageMaker.
        """
        if role_arn.split(":")[4] != scope.account:
            raise validation_error("Cross-account pass role is not allowed.")
        try:
            role = self._clients("iam", scope).get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
            if role["Arn"] != role_arn or not _trusts(role["AssumeRolePolicyDocument"]):
                raise _no_role(role_arn)
            sts = self._clients("sts", scope)
            credentials = sts.assume_role(RoleArn=role_arn, RoleSessionName="SageMaker")["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise _no_role(role_arn) from error
        return {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "AWS_REGION": scope.region,
            "AWS_DEFAULT_REGION": scope.region,
            "AWS_ENDPOINT_URL": self._clients.gateway_url,
        }

    def list_prefix(self, scope: Scope, uri: str) -> list[tuple[str, int]]:
        """Key and size in bytes of every object under S3's plain prefix; "folders" made by a console are left out."""
        return list(self._objects(scope, uri))

    def prefix_has_objects(self, scope: Scope, uri: str) -> bool:
        """Whether there is anything under the prefix, without listing it all."""
        return next(self._objects(scope, uri), None) is not None

    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int:
        """S3Prefix: every object under `uri` into `folder`, keeping the paths below it; how many there are.

        A prefix that ends inside a name (s3://b/da for da-1/x) keeps the paths below the folder that it is in. A key
        that is no clean relative path (`..`, `//`) is refused: it would be written elsewhere. Once `cancelled`, the
        rest is left out.
        """
        bucket, prefix = split_uri(uri)
        names = {key: _below(prefix, key) for key, _ in self.list_prefix(scope, uri)}
        s3 = self._clients("s3", scope)

        def fetch(key: str) -> None:
            if cancelled():
                return
            path = folder / names[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            with body, path.open("xb") as file:
                shutil.copyfileobj(body, file, 1 << 20)

        with _said(f"S3 key: {uri} could not be downloaded"), ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            folder.mkdir(parents=True, exist_ok=True)
            for _ in pool.map(fetch, names):
                pass
        return len(names)

    def download_file(self, scope: Scope, uri: str, path: Path) -> None:
        """One object; the file appears whole or not at all."""
        bucket, key = split_uri(uri)
        with _said(f"Could not download {uri}"):
            self._clients("s3", scope).download_file(bucket, key, str(path), Config=_TRANSFER)

    def object_exists(self, scope: Scope, uri: str) -> bool:
        """Whether there is an object of exactly this key."""
        bucket, key = split_uri(uri)
        return self._head(scope, "head_object", Bucket=bucket, Key=key) is not None

    def bucket_region(self, scope: Scope, uri: str) -> str | None:
        """Where the bucket of `uri` is, or None when there is none."""
        head = self._head(scope, "head_bucket", Bucket=split_uri(uri)[0])
        return None if head is None else str(head.get("BucketRegion", scope.region))

    def upload_file(self, scope: Scope, path: Path, uri: str) -> None:
        """One file; the object appears whole or not at all."""
        bucket, key = split_uri(uri)
        with _said(f"Could not upload to {uri}"):
            self._clients("s3", scope).upload_file(str(path), bucket, key, Config=_TRANSFER)

    def _objects(self, scope: Scope, uri: str) -> Iterator[tuple[str, int]]:
        bucket, prefix = split_uri(uri)
        pages = self._clients("s3", scope).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        with _said(f"Could not list {uri}"):
            for page in pages:
                yield from ((o["Key"], o["Size"]) for o in page.get("Contents", []) if not o["Key"].endswith("/"))

    def _head(self, scope: Scope, operation: str, **parameters: str) -> dict[str, Any] | None:
        with _said(f"Could not look up {'/'.join(parameters.values())} in S3"):
            try:
                head: dict[str, Any] = getattr(self._clients("s3", scope), operation)(**parameters)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
            return head


@contextmanager
def _said(sentence: str) -> Iterator[None]:
    """Turn what S3 or the disk answers into one sentence of ours."""
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        raise validation_error(f"{sentence}: {told.get('Message') or told.get('Code')}") from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise validation_error(f"{sentence}: {explain(error)}") from error


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; ValidationException for any other form."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise validation_error(f"'{uri}' is not an S3 URI of the form s3://bucket/key.")
    return bucket, key


def _below(prefix: str, key: str) -> str:
    """The path of `key` below `prefix`, by the rules of `download_prefix`."""
    inside = prefix if key.startswith(f"{prefix.rstrip('/')}/") else prefix[: prefix.rfind("/") + 1]
    name = key[len(inside) :].removeprefix("/")
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts) or PurePosixPath(name).is_absolute():
        raise validation_error(f"The S3 key '{key}' cannot be written as a file: rename the object.")
    return name


def _trusts(policy: str | Mapping[str, Any]) -> bool:
    """Whether a trust policy allows SageMaker's service principal; conditions are not looked at."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal if isinstance(principal, str) else principal.get("Service", [])
        allowed = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and {SAGEMAKER, "*"} & set(allowed):
            return True
    return False


def _no_role(arn: str) -> ApiError:
    return validation_error(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{SAGEMAKER}' "
        "to assume the role."
    )
