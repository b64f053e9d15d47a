"""The proof, after a destruction, that nothing with the project's tag is left."""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from infra.blueprint import PROJECT_TAG
from infra.clients import Clients
from infra.errors import StepFailed
from infra.resources.resource import error_code
from infra.wait import pause

LAG_S = 60.0  # (ours) for which AWS may still list what is deleted
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


def of_project(clients: Clients, project: str) -> list[str]:
    """The ARNs that carry the project's tag in the clients' region, by GetResources of the Resource Groups Tagging API
    (which lists no IAM roles; a destruction deletes those by name)."""
    pages = clients.tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": PROJECT_TAG, "Values": [project]}]
    )
    return sorted(found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"])


def check(clients: Clients, project: str, say: Callable[[str], None]) -> None:
    """Say that nothing is left with the project's tag. Raises StepFailed, with the ARNs, when something is."""
    deadline = time.monotonic() + (LAG_S if clients.target == "aws" else 0.0)
    try:
        while (left := of_project(clients, project)) and time.monotonic() < deadline:
            pause(clients.poll_s, "AWS's list of what has the project's tag")
    except ClientError as error:
        if error_code(error) not in _DENIED:
            raise
        say(f"Not proved: the caller may not list what has the tag {PROJECT_TAG} ({error_code(error)}).")
        return
    if left:
        raise StepFailed(
            f"{len(left)} resources still have the tag {PROJECT_TAG}={project}.",
            "AWS may list what is deleted for some minutes: run this again. What stays was not made by deploy.",
            tuple(left),
        )
    say(f"Nothing is left with the tag {PROJECT_TAG}={project}.")
