"""Whether the deployed model is any good, asked as a customer would: through the endpoint and through the function."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from infra.blueprint import ALIAS
from infra.data.dataset import Photo
from infra.deployment import Deployment
from infra.errors import StepFailed
from infra.terminal import Terminal

_CALLERS = 4
_LABELS = "application/json;top-k=5"


@dataclass(frozen=True)
class Guess:
    """A label with its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Accuracy:
    """Of `total` photos, how many have the right label first, and among the first five."""

    total: int
    top1: int
    top5: int

    def __str__(self) -> str:
        return (
            f"{self.top1 / self.total:.1%} of {self.total} test photos right, {self.top5 / self.total:.1%} in the top 5"
        )


def guess(deployment: Deployment, endpoint: str, photo: Photo) -> list[Guess]:
    """The endpoint's five best labels for a photo, best first."""
    answer = deployment.clients.runtime.invoke_endpoint(
        EndpointName=endpoint,
        ContentType=photo.content_type,
        Accept=_LABELS,
        Body=photo.path.read_bytes(),
    )
    return [Guess(best["label"], best["probability"]) for best in json.loads(answer["Body"].read())[0]]


def measure(deployment: Deployment, endpoint: str, terminal: Terminal) -> Accuracy:
    """Every photo of the test split through the endpoint, a few at a time."""
    photos, found = deployment.dataset.split("test"), Counter[str]()
    pool = ThreadPoolExecutor(_CALLERS)
    try:
        with terminal.bar("asking the endpoint", len(photos)) as advance:
            asked = {pool.submit(guess, deployment, endpoint, photo): photo for photo in photos}
            for future in as_completed(asked):
                labels = [best.label for best in future.result()]
                found["top1"] += labels[0] == asked[future].label
                found["top5"] += asked[future].label in labels
                advance(1)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return Accuracy(len(photos), found["top1"], found["top5"])


def show_three(deployment: Deployment, terminal: Terminal) -> str:
    """Three photos of different classes with their top five, and the function's answer to each, which must be the
    endpoint's. Returns a remark; raises StepFailed when they differ."""
    photos = deployment.dataset.split("test")
    rows: list[tuple[str, ...]] = []
    for photo in (photos[0], photos[len(photos) // 2], photos[-1]):
        best = guess(deployment, deployment.blueprint.called_endpoint, photo)
        answer = through_function(deployment, photo)
        if answer != best[0].label:
            raise StepFailed(
                f"The function says {answer} of {photo.key}, the endpoint {best[0].label}.", "Please report this."
            )
        five = "\n".join(f"{one.probability:6.1%}  {one.label}" for one in best)
        rows.append((photo.path.name, photo.label, five, answer))
    terminal.table("Three photos", ("Photo", "It is", "The endpoint's top 5", "The function says"), rows)
    return f"{len(rows)} calls of the function"


def through_function(deployment: Deployment, photo: Photo) -> str:
    """The label that the Lambda function answers for a photo in S3, in the form of the blueprint's system."""
    reply = deployment.clients.lambda_.invoke(
        FunctionName=deployment.blueprint.function, Qualifier=ALIAS, Payload=json.dumps(event_of(deployment, photo))
    )
    answer = json.loads(reply["Payload"].read())
    try:
        return deployment.dataset.classes[class_number(deployment.blueprint.settings.function.system, answer)]
    except (ValueError, TypeError, KeyError, IndexError):
        raise StepFailed(
            f"The function answered {json.dumps(answer)[:500]}",
            f"Read its log group {deployment.blueprint.function_logs}.",
        ) from None


def event_of(deployment: Deployment, photo: Photo) -> dict[str, str]:
    """The function's event for a photo in S3, in the form of the blueprint's system."""
    request = {"s3": f"s3://{deployment.blueprint.bucket}/data/{photo.key}"}
    if deployment.blueprint.settings.function.system != "C":
        return request
    return {"endpoint_name": deployment.blueprint.called_endpoint, "request_dict": json.dumps(request)}


def class_number(system: str, answer: Any) -> int:
    """The answers of seed systems A, B, C and E: C's is the label's number, the others' holds a row of logits. Raises
    ValueError, TypeError, KeyError or IndexError for an answer of another form."""
    if system == "C":
        return int(answer[0])
    logits = json.loads(answer if system == "B" else answer["body"])[0]
    return int(logits.index(max(logits)))
