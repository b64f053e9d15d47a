"""Pure: what a container is sent for a request to its endpoint, and which requests it is not sent.

Which path and headers a container gets is decided here only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from stagemaker.core.errors import ApiError

MAX_BODY_BYTES = 6_291_456  # of request and response, from botocore's model
TIMEOUT_S = 60.0  # AWS's, of InvokeEndpoint
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
PATH = "/invocations"
PASSED_ON = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": ATTRIBUTES,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
PASSED_BACK = {"ContentType": "content-type", "CustomAttributes": ATTRIBUTES.lower()}
OTHER_KINDS = {
    "InferenceComponentName": "endpoint with inference components",
    "EnableExplanations": "endpoint with an explainer",
    "SessionId": "endpoint with stateful sessions",
    "PrefixAwareId": "endpoint with prefix-aware routing",
}


@dataclass(frozen=True)
class ContainerCall:
    """One request to a container; it has `timeout_s`, from the choice of the container to the end of its answer."""

    path: str
    headers: Mapping[str, str]
    body: bytes | IO[bytes]  # a file has the header Content-Length
    timeout_s: float
    target_model: str = ""  # of a multi-model endpoint
    target_container: str = ""  # of an endpoint for direct invocation of its containers

    @property
    def longer_s(self) -> float:
        """How much longer than an InvokeEndpoint it may take."""
        return max(0.0, self.timeout_s - TIMEOUT_S)


def container_call(request: Mapping[str, Any], timeout_s: float) -> ContainerCall:
    """Of an InvokeEndpoint or InvokeEndpointWithResponseStream. ValidationError for a body that is too long, and for
    what only other kinds of endpoints take."""
    if len(request["Body"]) > MAX_BODY_BYTES:
        raise ApiError("ValidationError", f"The body is longer than {MAX_BODY_BYTES} bytes.")
    name = request["EndpointName"]
    for member, kind in OTHER_KINDS.items():
        if member in request:
            raise ApiError("ValidationError", f"{member} cannot be given: endpoint {name} is no {kind}.")
    target_model, target_container = request.get("TargetModel", ""), request.get("TargetContainerHostname", "")
    return ContainerCall(PATH, passed_on(request), request["Body"], timeout_s, target_model, target_container)


def passed_on(request: Mapping[str, Any]) -> dict[str, str]:
    """The headers that a container gets of a request."""
    return {header: request[member] for member, header in PASSED_ON.items() if member in request}


def passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    """The members of an answer that are headers of the container's, whose names are in lower case."""
    return {member: headers[header] for member, header in PASSED_BACK.items() if header in headers}
