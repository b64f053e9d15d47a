"""ECR repositories for the images."""

from typing import Any

from botocore.exceptions import ClientError

from infra.resources import CREATED, UNCHANGED, UPDATED, Change, is_missing

# Mutable, since `latest` moves with every push, and a tree with changes builds under the revision it started from.
MUTABILITY = "MUTABLE"
_SCANNING = {"scanOnPush": True}


def ensure_repository(ecr: Any, name: str, tags: list[dict[str, str]]) -> tuple[Change, str]:
    """The repository, scanned on push, with mutable tags; the change and its URI, such as `localhost:5000/a/b`."""
    found = _find(ecr, name)
    if found is None:
        made = ecr.create_repository(
            repositoryName=name, imageTagMutability=MUTABILITY, imageScanningConfiguration=_SCANNING, tags=tags
        )
        return CREATED, str(made["repository"]["repositoryUri"])
    change: Change = UNCHANGED
    if found["imageTagMutability"] != MUTABILITY:
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=MUTABILITY)
        change = UPDATED
    if found["imageScanningConfiguration"] != _SCANNING:
        ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration=_SCANNING)
        change = UPDATED
    return change, str(found["repositoryUri"])


def destroy_repository(ecr: Any, name: str) -> bool:
    """Delete the repository with its images; whether there was one."""
    if _find(ecr, name) is None:
        return False
    ecr.delete_repository(repositoryName=name, force=True)
    return True


def _find(ecr: Any, name: str) -> dict[str, Any] | None:
    try:
        return dict(ecr.describe_repositories(repositoryNames=[name])["repositories"][0])
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
