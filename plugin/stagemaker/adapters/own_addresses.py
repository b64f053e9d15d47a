"""LocalStack's addresses beside those of AWS's services, which ask nobody who calls: in the mode strict they do.

`/_aws/...` shows the messages, mails and metrics of every account: only to the root of an account. The address of a
queue would take SQS's calls by itself, past the decision on them: it takes none.
"""

import json
import re
from typing import Any

from localstack.aws import handlers
from localstack.aws.api import RequestContext
from rolo import Request, Response

from stagemaker.access.faults import CredentialsRefused
from stagemaker.access.signature import read_claim
from stagemaker.adapters import identity
from stagemaker.adapters.contents import SENT
from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError

_OWN = re.compile("/+_aws/(?!execute-api/|lambda/)")  # an API has authorizers, and that of Lambda is a program's file
_QUEUE = re.compile(r"/+(queue/+[a-z0-9-]+/+)?[0-9]{12}/+[a-zA-Z0-9_-]+(\.fifo)?/*")


def install() -> None:
    """Have LocalStack's gateway refuse, once."""
    handlers.preprocess_request.append(_refuse)


def is_root(request: Request) -> bool:
    """Whether the root user of an account has signed the request, for whatever service."""
    found = request.environ.get(SENT)
    if found is None:
        return False
    try:
        sent = identity.to_sent(*found)
        claim = read_claim(sent)
        return claim is not None and identity.installed().verify(claim, sent, found[1], claim.service).principal.is_root
    except CredentialsRefused:
        return False


def _refuse(chain: Any, context: RequestContext, response: Response) -> None:
    request = context.request
    if _OWN.match(request.path):
        if is_root(request):
            return
        message = "In the mode strict, an address of LocalStack's own answers the root of an account only."
        refusal = ApiError("AccessDenied", message, 403)
    elif _QUEUE.fullmatch(request.path) and request.values.get("Action"):
        refusal = not_supported("a call at the address of a queue in the mode strict (SQS's own address takes it)")
    else:
        return
    body = json.dumps({"__type": refusal.code, "message": refusal.message})
    response.update_from(Response(body, refusal.status, mimetype="application/json"))
    chain.stop()
