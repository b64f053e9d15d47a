"""How LocalStack's own calls are known: by a header with our secret, which nobody else can send, and, of the addresses
that it gives to others, by a signature with that secret."""

import hmac
import json
from typing import Any

from botocore.config import Config
from localstack import config
from localstack.aws.connect import connect_to
from localstack.constants import AWS_REGION_US_EAST_1
from localstack.services.lambda_.invocation.lambda_models import S3Code

from stagemaker.app import App

_SIGNATURE_4 = Config(signature_version="s3v4", s3={"addressing_style": "path"})  # boto3 has version 2 for some regions


def secret(app: App, _original: str) -> str:
    """In place of the secret that LocalStack signs with, which everybody can read."""
    return app.secret


def code_address(_app: App, _original: Any) -> Any:
    """In place of the method that signs the address of a function's code."""

    def generate_presigned_url(self: S3Code, endpoint_url: str) -> str:
        place = {"Bucket": self.s3_bucket, "Key": self.s3_key}
        if self.s3_object_version:
            place["VersionId"] = self.s3_object_version
        client: Any = connect_to(
            region_name=AWS_REGION_US_EAST_1,
            aws_access_key_id=config.INTERNAL_RESOURCE_ACCOUNT,
            endpoint_url=endpoint_url,
            config=_SIGNATURE_4,
        ).s3
        return str(client.generate_presigned_url("get_object", Params=place))

    return generate_presigned_url


def dump(app: App, original: Any) -> Any:
    """In place of the function that writes the header."""

    def dump_dto(data: Any) -> str:
        return f"{app.secret} {original(data)}"

    return dump_dto


def load(app: App, _original: Any) -> Any:
    """In place of the function that reads it. LocalStack takes a call whose header raises an error for any other."""

    def load_dto(data: str) -> Any:
        sent, _, text = data.partition(" ")
        if not hmac.compare_digest(sent.encode(), app.secret.encode()):
            raise ValueError("a header of LocalStack's own calls came from somebody else")
        return json.loads(text)

    return load_dto
