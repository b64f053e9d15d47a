"""POST /_stagemaker/interruptions: interrupt managed spot training, or a spot instance, as EC2 would.

{"TrainingJobArn": "arn:aws:sagemaker:..."}    202 when its containers got SIGTERM, else an error with AWS's code
{"InstanceId": "i-..."}                        202 when the notice is given: two minutes later it is terminated

In the mode strict the caller signs, for sagemaker or ec2, and needs the right to do what comes closest to it on AWS.
"""

import json
from typing import Any

from localstack.services.edge import ROUTER
from rolo import Request, Response

from stagemaker.adapters import enforcement, identity, running
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.strict_json import read_json

PATH = "/_stagemaker/interruptions"
MAX_BYTES = 4096
_JOB, _INSTANCE = "TrainingJobArn", "InstanceId"
_SERVICES = {_JOB: "sagemaker", _INSTANCE: "ec2"}
_ACTIONS = {_JOB: "sagemaker:StopTrainingJob", _INSTANCE: "ec2:SendSpotInstanceInterruptions"}


def install() -> None:
    """Have LocalStack's gateway answer the address, once."""
    ROUTER.add(PATH, _answer, methods=["POST"])


def _answer(request: Request, **_: Any) -> Response:
    try:
        kind, name = _asked(request)
        caller = identity.installed().signer(request, _SERVICES[kind])
        interrupter = running.current().interruptions if kind == _JOB else running.current().instances
        if caller:
            enforcement.installed().authorize_address(caller, [_ACTIONS[kind]], interrupter.arn_of(name), request)
        interrupter.interrupt(name)
    except ApiError as error:
        return _response({"__type": error.code, "message": error.message}, error.status)
    return _response({}, 202)


def _asked(request: Request) -> tuple[str, str]:
    """What is to be interrupted, and its name."""
    form = f'The body must be {{"{_JOB}": "arn:aws:sagemaker:..."}} or {{"{_INSTANCE}": "i-..."}}.'
    if (request.content_length or MAX_BYTES + 1) > MAX_BYTES:
        raise validation_error(form)
    try:
        asked = read_json(request.get_data())
    except ValueError as error:
        raise validation_error(form) from error
    named = list(asked.items()) if isinstance(asked, dict) else []
    if len(named) != 1 or named[0][0] not in (_JOB, _INSTANCE) or not isinstance(named[0][1], str):
        raise validation_error(form)
    return named[0]


def _response(body: dict[str, str], status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
