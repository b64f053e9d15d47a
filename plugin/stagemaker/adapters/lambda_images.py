"""The images of Lambda functions: what a URI means is settled when a function is created or its code is updated."""

from collections.abc import Callable
from dataclasses import dataclass

from localstack.aws.api.lambda_ import (  # type: ignore[attr-defined]  # a class that hides its base of the same name
    InvalidParameterValueException,
    ServiceException,
)
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, ImageCode

from stagemaker.adapters.errors import exception
from stagemaker.core.errors import ApiError
from stagemaker.functions.image_rules import image_missing, image_unsupported
from stagemaker.registry.manifest_plan import INDEX_TYPES
from stagemaker.runtime.contract import ImageRefused, Runtime
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.runtime.images import by_digest


@dataclass(frozen=True)
class PinnedImage(ImageCode):
    """What the URI meant then. LocalStack keeps it with the function's version, as long as there is that version."""

    pinned: str = ""  # the name by which the runtime starts it

    @property
    def resolved_image_uri(self) -> str:
        """As GetFunction answers it: LocalStack's cuts a URI at the last colon, which may be a port's or a digest's."""
        return by_digest(self.image_uri, f"sha256:{self.code_sha256}")


def pin_image(runtime: Runtime, image_uri: str, media_type: Callable[[str], str | None]) -> PinnedImage:
    """What the URI means now. `media_type` says that of an image's manifest in ECR: Lambda takes OCI's and Docker's,
    but no index. Raises LocalStack's exceptions, with Lambda's codes and words."""
    if not isinstance(runtime, DockerRuntime):
        refusal = "PackageType Image needs Docker: set STAGEMAKER_RUNTIME=docker, or use a zip file."
        raise InvalidParameterValueException(refusal, Type="User")
    try:
        name = runtime.pin(image_uri)
        if media_type(image_uri) in INDEX_TYPES:
            raise InvalidParameterValueException(image_unsupported(image_uri), Type="User")
    except ImageRefused as error:
        raise InvalidParameterValueException(image_missing(image_uri), Type="User") from error
    except ApiError as error:
        raise (ServiceException(error.message) if error.status == 500 else exception(error)) from error
    return PinnedImage(image_uri, repository_type="ECR", code_sha256=name.rpartition(":")[2], pinned=name)


def pinned(version: FunctionVersion) -> str:
    """The name by which the runtime starts the image of this version. ValueError for a version without one."""
    image = version.config.image
    if not isinstance(image, PinnedImage):
        raise ValueError(f"The function {version.id.function_name} has no image.")
    return image.pinned
