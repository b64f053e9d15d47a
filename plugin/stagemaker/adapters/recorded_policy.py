"""GET /_stagemaker/policy: the smallest policy that allows what a principal was seen to do.

    ?Principal=<ARN>&Group=<pattern>&Group=...    200 and a policy report; 404 where nothing was recorded of it
    (nothing)                                     200 and {"Principals": [<ARN>, ...]}

It answers this machine's own callers, and those who sign as the root of an account.
"""

import json
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from localstack.services.edge import ROUTER
from rolo import Request, Response

from stagemaker.access.policy_report import policy_report
from stagemaker.access.recorder import Recorder
from stagemaker.core.errors import ApiError, validation_error

PATH = "/_stagemaker/policy"
MAX_GROUPS, MAX_LENGTH = 20, 2048


def install(recorder: Recorder, is_root: Callable[[Request], bool]) -> None:
    """Have LocalStack's gateway answer the address, once. `is_root` says whether a root's signature is on a request."""

    def answer(request: Request, **_: Any) -> Response:
        try:
            if not _is_loopback(request.remote_addr) and not is_root(request):
                raise ApiError("AccessDeniedException", "Only the root of an account may read recorded policies.", 403)
            return _response(_report(recorder, request), 200)
        except ApiError as error:
            return _response({"__type": error.code, "message": error.message}, error.status)

    ROUTER.add(PATH, answer, methods=["GET"])


def _report(recorder: Recorder, request: Request) -> dict[str, Any]:
    principal, groups = request.args.get("Principal"), request.args.getlist("Group")
    texts = request.args.getlist("Principal") + groups
    if len(groups) > MAX_GROUPS or any(not 0 < len(text) <= MAX_LENGTH for text in texts):
        raise validation_error(f"There may be {MAX_GROUPS} patterns, of 1 to {MAX_LENGTH} characters, and an ARN.")
    if principal is None:
        return {"Principals": recorder.principals()}
    recording = recorder.recording(principal)
    if recording is None:
        raise ApiError("ResourceNotFoundException", f"Nothing was recorded of {principal}.", 404)
    return policy_report(recording, groups)


def _is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address).is_loopback
    except ValueError:
        return False


def _response(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
