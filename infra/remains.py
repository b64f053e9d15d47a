"""The proof, after a destruction, that nothing with the project's tag is left."""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from infra.blueprint import PROJECT_TAG
from infra.clients import Clients
from infra.ec2 import instances
from infra.errors import StepFailed
from infra.resources.resource import error_code
from infra.wait import alone, poll

LAG_S = 60.0  # (ours) for which AWS may still list what is deleted
_INSTANCE = ":instance/"
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


def of_project(clients: Clients, project: str) -> list[str]:
    """The ARNs that carry the project's tag in the clients' region, by GetResources of the Resource Groups Tagging API
    (which lists no IAM roles; a destruction deletes those by name). An EC2 instance that has ended keeps its tags for
    an hour or so, and is not counted."""
    pages = clients.tagging.get_paginator("get_resources").paginate(
        TagFilters=[{"Key": PROJECT_TAG, "Values": [project]}]
    )
    found = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]
    if any(_INSTANCE in arn for arn in found):
        ended = {one["InstanceId"] for one in instances.of_project(clients.ec2, project, instances.OVER)}
        found = [arn for arn in found if _INSTANCE not in arn or arn.rpartition("/")[2] not in ended]
    return sorted(found)


def check(clients: Clients, project: str, say: Callable[[str], None]) -> None:
    """Say that nothing is left with the project's tag. Raises StepFailed, with the ARNs, when something is."""
    deadline = time.monotonic() + (LAG_S if clients.target == "aws" else 0.0)
    try:
        with alone(say):
            while (left := of_project(clients, project)) and time.monotonic() < deadline:
                poll(clients.poll_s, "AWS's list of what has the project's tag")
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
