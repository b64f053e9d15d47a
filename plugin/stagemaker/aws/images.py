"""Whether a role may pull an image of ECR: it is the stage that pulls, with rights of its own."""

import re
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.core.errors import access_denied
from stagemaker.core.refs import Scope

_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/([^:@]+)(?::([^@]+))?(?:@(.+))?", re.ASCII)
_NO_LAYER = f"sha256:{'0' * 64}"
_DENIED = ("AccessDeniedException", "AccessDenied")


class Images:
    """Of ECR. Thread-safe."""

    _clients: Clients

    def check_pull(self, image: str) -> None:
        """AccessDenied, in ECR's words, unless whoever has these rights may pull the image: GetAuthorizationToken,
        BatchGetImage and BatchCheckLayerAvailability are tried. Whether there is such an image is no question here, and
        an image that is not named by AWS's host is not of ECR."""
        if (found := _IMAGE.fullmatch(image)) is None:
            return
        account, region, name, tag, digest = found.groups()
        ecr = self._clients("ecr", Scope(account, region))
        repository = {"registryId": account, "repositoryName": name}
        image_id = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
        for call, request in (
            (ecr.get_authorization_token, {}),
            (ecr.batch_get_image, {**repository, "imageIds": [image_id]}),
            (ecr.batch_check_layer_availability, {**repository, "layerDigests": [_NO_LAYER]}),
        ):
            try:
                with suppress(BotoCoreError):
                    call(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] in _DENIED:
                    raise access_denied(error.response["Error"]["Message"]) from error
