"""/_stagemaker/hosts/<instance id>/...: what the relay of an EC2 instance's host asks for its metadata service.

It sends a token, which is the host's alone: nobody else is answered, and a host is answered about itself only.
"""

from typing import Any

from localstack.services.edge import ROUTER
from rolo import Request, Response

from stagemaker.adapters import running
from stagemaker.ec2.metadata import Asked

PATH = "/_stagemaker/hosts/"
_HOPS, _LOST, _TOKEN = "x-stagemaker-hops", "x-stagemaker-lost", "x-stagemaker-token"


def install() -> None:
    """Have LocalStack's gateway answer the addresses, once."""
    ROUTER.add(f"{PATH}<instance_id>/<path:path>", _answer, methods=["GET", "HEAD", "PUT", "POST", "DELETE"])


def _answer(request: Request, instance_id: str = "", path: str = "", **_: Any) -> Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    hops = 2 if headers.get(_HOPS) == "2" else 1
    asked = Asked(request.method, f"/{path}", headers, hops)
    told = running.current().instances.metadata(instance_id, headers.get(_TOKEN, ""), asked)
    response = Response(told.body, told.status, dict(told.headers))
    if told.is_lost:
        response.headers[_LOST] = "1"
    return response
