"""A pytest plugin for moto's tests: it makes the roles, buckets and images that a request to SageMaker only names.

Moto asks for none of them to exist, AWS does. Images are exchanged for those of the small stack.
"""

import io
import json
import os
import re
import tarfile
import uuid
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ParamValidationError
from botocore.httpsession import URLLib3Session
from moto_suite.own_accounts import text

IMAGES = {"TrainingImage": "stagemaker/trainer", "Image": "stagemaker/serve"}
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture(autouse=True)
def named_resources(own_account: None) -> Iterator[None]:
    """For one test, in the account that it has."""
    resources, send = _Resources(), URLLib3Session.send

    def prepare_and_send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        resources.prepare(request)
        response = send(session, request)
        if not request.stream_output:
            response._content = resources.restore(response.content)
        return response

    with patch.object(URLLib3Session, "send", prepare_and_send):
        yield


class _Resources:
    def __init__(self) -> None:
        self._exchanged: dict[str, str] = {}  # what the stage sees, and what the test named

    def prepare(self, request: AWSPreparedRequest) -> None:
        """Make the roles and objects of a request to SageMaker, and exchange its images."""
        if not text(request.headers.get("X-Amz-Target", "")).startswith("SageMaker."):
            return
        body = json.loads(request.body)
        for holder, name, value in _texts(body):
            role = re.fullmatch(r"arn:aws:iam::\d{12}:role/([\w+=,.@-]+)", value)
            objects = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", value)
            if role and name.endswith("RoleArn"):
                self._make_role(role[1])
            elif objects:
                bucket = self._make_object(objects[1], objects[2] or "")
                holder[name] = value.replace(f"s3://{objects[1]}", f"s3://{bucket}")
            elif name in IMAGES:
                self._exchanged[f'"{IMAGES[name]}"'] = json.dumps(value)
                holder[name] = IMAGES[name]
        request.body = json.dumps(body).encode()
        request.headers["Content-Length"] = str(len(request.body))

    def restore(self, content: bytes) -> bytes:
        """An answer with the names that the test gave."""
        for ours, named in self._exchanged.items():
            content = content.replace(ours.encode(), named.encode())
        return content

    def _make_role(self, name: str) -> None:
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        try:
            _client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise

    def _make_object(self, bucket: str, key: str) -> str:
        """The bucket that has it: another one where S3 takes no such name, or another test's account has it."""
        s3 = _client("s3")
        try:
            s3.create_bucket(Bucket=bucket)
        except (ClientError, ParamValidationError):
            named, bucket = bucket, f"moto-{uuid.uuid4()}"
            self._exchanged[f"s3://{bucket}"] = f"s3://{named}"
            s3.create_bucket(Bucket=bucket)
        if key:
            s3.put_object(Bucket=bucket, Key=f"{key}object" if key.endswith("/") else key, Body=_archive())
        return bucket


def _client(service: str) -> Any:
    """With the keys of the test."""
    return boto3.Session().client(
        service, region_name="us-east-1", endpoint_url=os.environ["TEST_SERVER_MODE_ENDPOINT"]
    )


def _archive() -> bytes:
    """A model.tar.gz with one file."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("weights.txt"))
    return target.getvalue()


def _texts(value: Any) -> Iterator[tuple[Any, str, str]]:
    """Every text member in it, at any depth: who holds it, its name, the text."""
    if isinstance(value, dict):
        for name, member in list(value.items()):
            if isinstance(member, str):
                yield value, name, member
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
