"""ECR's errors, in AWS's codes and words."""

from stagemaker.api.validation import ECR_CODE, invalid_parameter
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref


def invalid(message: str) -> ApiError:
    """A request that breaks a rule."""
    return ApiError(ECR_CODE, message)


def invalid_at(path: str, rule: str) -> ApiError:
    """A parameter that breaks a rule."""
    return invalid(invalid_parameter(path, rule))


def repository_missing(ref: Ref) -> ApiError:
    """There is no such repository."""
    return ApiError(
        "RepositoryNotFoundException",
        f"The repository with name '{ref.name}' does not exist in the registry with id '{ref.scope.account}'",
    )


def repository_exists(ref: Ref) -> ApiError:
    """The name is taken."""
    return ApiError(
        "RepositoryAlreadyExistsException",
        f"The repository with name '{ref.name}' already exists in the registry with id '{ref.scope.account}'",
    )


def repository_not_empty(ref: Ref) -> ApiError:
    """Only `force` deletes a repository with images."""
    return ApiError(
        "RepositoryNotEmptyException",
        f"The repository with name '{ref.name}' in registry with id '{ref.scope.account}' cannot be deleted because it "
        "still contains images",
    )


def image_missing(ref: Ref, digest: str | None, tag: str | None) -> ApiError:
    """There is no such image in the repository; AWS prints `null` for what was not given."""
    wanted = ", ".join(f"{key}:'{value or 'null'}'" for key, value in (("imageDigest", digest), ("imageTag", tag)))
    return ApiError(
        "ImageNotFoundException",
        f"The image with imageId {{{wanted}}} does not exist within the repository with name '{ref.name}' in the "
        f"registry with id '{ref.scope.account}'",
    )


def image_exists(ref: Ref, digest: str, tag: str | None) -> ApiError:
    """PutImage changes nothing."""
    what = f"Image with digest '{digest}'" + (f" and tag '{tag}'" if tag else "")
    return ApiError(
        "ImageAlreadyExistsException",
        f"{what} already exists in the repository with name '{ref.name}' in registry with id '{ref.scope.account}'",
    )


def tag_immutable(ref: Ref, tag: str) -> ApiError:
    """The tag names another image, and may not be moved."""
    return ApiError(
        "ImageTagAlreadyExistsException",
        f"The image tag '{tag}' already exists in the '{ref.name}' repository and cannot be overwritten because the "
        "tag is immutable.",
    )


def policy_missing(ref: Ref, kind: str) -> ApiError:
    """`kind` is "Repository" or "Lifecycle"."""
    return ApiError(
        f"{kind}PolicyNotFoundException",
        f"{kind} policy does not exist for the repository with name '{ref.name}' in the registry with id "
        f"'{ref.scope.account}'",
    )


def registry_down(why: object) -> ApiError:
    """The registry service cannot be reached, or answers nonsense."""
    return ApiError(
        "ServerException",
        f"The registry service behind ECR does not answer ({why}): see `docker compose ps registry`, and try again.",
        500,
    )


def no_registry() -> ApiError:
    """Process mode keeps repositories, but has nowhere to put an image."""
    return ApiError(
        "NotImplementedException",
        "There is no registry for images here: start the stack in containers, with `docker compose up --wait`.",
        501,
    )
