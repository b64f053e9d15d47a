"""GET /_stagemaker/notebooks: whether this stage has notebook instances, which no operation of SageMaker tells.

200 and {"WhyNone": ""}, or the reason why none can be started. It tells nothing of anybody's instances.
"""

import json
from typing import Any

from localstack.services.edge import ROUTER
from rolo import Request, Response

from stagemaker.adapters import running

PATH = "/_stagemaker/notebooks"


def install() -> None:
    """Have LocalStack's gateway answer the address, once."""
    ROUTER.add(PATH, _answer, methods=["GET"])


def _answer(request: Request, **_: Any) -> Response:  # noqa: ARG001 - as the router calls it
    return Response(json.dumps({"WhyNone": running.current().notebooks.why_none()}), 200, mimetype="application/json")
