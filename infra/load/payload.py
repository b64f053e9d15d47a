"""The request of a load: a photo for the endpoint or the function's URL, or the event with which the function sends it
to the endpoint."""

import base64
import json
from typing import Any

from infra.blueprint import ALIAS
from infra.clients import Clients
from infra.errors import StepFailed
from infra.load.requests import Request, call_url, invoke_endpoint, invoke_function
from infra.resources.resource import find
from infra.typed import make


def for_endpoint(clients: Clients, endpoint: str, content_type: str, photo: bytes) -> Request:
    """InvokeEndpoint with the photo."""
    return invoke_endpoint(clients.runtime.meta.endpoint_url, endpoint, content_type, photo)


def for_function(clients: Clients, function: str, endpoint: str, photo: bytes) -> Request:
    """Invoke with an event in the form of the function's SYSTEM. Raises StepFailed when there is no such function."""
    found = find(clients.lambda_.get_function_configuration, FunctionName=function)
    if found is None:
        raise StepFailed(f"There is no function {function}.", f"Make it: {make('deploy')}")
    system = found.get("Environment", {}).get("Variables", {}).get("SYSTEM", "")
    return invoke_function(clients.lambda_.meta.endpoint_url, function, event(system, endpoint, photo))


def for_url(clients: Clients, function: str, content_type: str, photo: bytes) -> Request:
    """The photo for the URL of the function's alias, signed where the URL asks for it. Raises StepFailed when there is
    no such URL."""
    found = find(clients.lambda_.get_function_url_config, FunctionName=function, Qualifier=ALIAS)
    if found is None:
        raise StepFailed(
            f"The function {function} has no URL of its alias {ALIAS}.",
            f"Make it: FUNCTION_URL=1 {make('deploy')}",
        )
    return call_url(found["FunctionUrl"], content_type, photo, signed=found["AuthType"] == "AWS_IAM")


def event(system: str, endpoint: str, photo: bytes) -> dict[str, Any]:
    """What `containers/lambda/handler.py` takes."""
    request = {"instances": [{"b64": base64.b64encode(photo).decode()}]}
    return {"endpoint_name": endpoint, "request_dict": json.dumps(request)} if system == "C" else request
