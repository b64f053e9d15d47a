"""POST /_stagemaker/interruptions: interrupt a managed spot training job, as EC2 would.

{"TrainingJobArn": "arn:aws:sagemaker:..."}    202 when its containers got SIGTERM, else an error with AWS's code
"""

import json
from typing import Any

from localstack.services.edge import ROUTER
from rolo import Request, Response

from stagemaker.adapters import running
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.strict_json import read_json

PATH = "/_stagemaker/interruptions"
MAX_BYTES = 4096


def install() -> None:
    """Have LocalStack's gateway answer the address, once."""
    ROUTER.add(PATH, _answer, methods=["POST"])


def _answer(request: Request, **_: Any) -> Response:
    try:
        running.current().interruptions.interrupt(_arn(request))
    except ApiError as error:
        return _response({"__type": error.code, "message": error.message}, error.status)
    return _response({}, 202)


def _arn(request: Request) -> str:
    form = 'The body must be {"TrainingJobArn": "arn:aws:sagemaker:..."}.'
    if (request.content_length or MAX_BYTES + 1) > MAX_BYTES:
        raise validation_error(form)
    try:
        asked = read_json(request.get_data())
    except ValueError as error:
        raise validation_error(form) from error
    arn = asked.get("TrainingJobArn") if isinstance(asked, dict) else None
    if not isinstance(arn, str):
        raise validation_error(form)
    return arn


def _response(body: dict[str, str], status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
