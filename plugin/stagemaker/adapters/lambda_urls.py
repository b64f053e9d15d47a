"""Function URLs: who may call one, from which pages, and what the function is told.

LocalStack takes every call, knows no CORS of a URL, throttles with 500, and gives out an address that no client finds.
"""

import ipaddress
import json
import re
from typing import Any

from localstack.aws.api import RequestContext, ServiceException
from localstack.aws.api.lambda_ import TooManyRequestsException
from localstack.aws.handlers import cors as cors_handlers
from localstack.config import HostAndPort
from localstack.http import Request, Response
from localstack.services.lambda_ import provider, urlrouter
from localstack.services.lambda_.invocation.lambda_models import Function, FunctionUrlConfig, InvocationResult
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.urlrouter import FunctionUrlRouter

from stagemaker.adapters import enforcement, identity
from stagemaker.adapters.patches import Patch
from stagemaker.app import App
from stagemaker.core.errors import ApiError, hinted
from stagemaker.functions.concurrency import RETRY_AFTER_S
from stagemaker.functions.cors import answer_headers, preflight_headers
from stagemaker.functions.invoke_rules import text_body
from stagemaker.functions.url_access import url_refusal
from stagemaker.functions.url_event import authorizer, cookies_of, joined_headers, set_cookies

HOST = ".lambda-url."
ROUTERS: list[FunctionUrlRouter] = []  # LocalStack's, once its Lambda service is there
_CALLER = "stagemaker.url_caller"  # in the environment of a request: who signed it, and whose the function is
_HOST = re.compile(r"(?P<url_id>[^.]+)\.lambda-url\.(?P<region>[a-z0-9-]+)\.", re.IGNORECASE)


def page_origins(host: str) -> tuple[str, ...]:
    """The origins whose pages may call this host: those of the CORS configuration of its function URL; none for a host
    that is no function URL's."""
    name = _HOST.match(host)
    found = _find(name["url_id"], name["region"].lower()) if name else None
    return tuple((found[1].cors or {}).get("AllowOrigins") or ()) if found else ()


def serve_function_urls(chain: Any, context: RequestContext, response: Any) -> None:
    """Have the function answer whatever is sent to its host. LocalStack's own pages come before it, and so a page that
    may call a function could call them."""
    name = _HOST.match(context.request.host)
    if name is None or not ROUTERS or not (_find(name["url_id"], name["region"].lower())):
        return
    arguments = {"api_id": name["url_id"], "region": name["region"].lower(), "path": context.request.path[1:]}
    response.update_from(ROUTERS[0].handle_lambda_url_invocation(context.request, **arguments))
    chain.stop()


def _find(url_id: str, region: str) -> tuple[Function, FunctionUrlConfig] | None:
    """DNS knows no case, and the ids of AWS are in lower case."""
    for account in list(lambda_stores.keys()):
        for function in list(lambda_stores[account][region].functions.values()):
            for config in list(function.function_url_configs.values()):
                if config.url_id.lower() == url_id.lower():
                    return function, config
    return None


def _register(_app: App, original: Any) -> Any:
    def register_routes(self: FunctionUrlRouter) -> None:
        ROUTERS[:] = [self]
        original(self)

    return register_routes


def _handle(_app: App, original: Any) -> Any:
    def handle_lambda_url_invocation(
        self: FunctionUrlRouter, request: Request, api_id: str, region: str, **url_params: str
    ) -> Response:
        found = _find(api_id, region)
        if found is None:
            response: Response = original(self, request, api_id, region, **url_params)
            return response
        function, config = found
        origin, cors = request.headers.get("Origin", ""), dict(config.cors or {})
        if cors and request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response(status=200, headers=preflight_headers(cors, origin))
        try:
            _check_caller(function, config, request)
            response = _invoke(original, self, request, api_id, region, url_params)
        except ApiError as error:
            response = _error(error.status, error.code, {"Message": error.message})
        for name, value in answer_headers(cors, origin).items():
            response.headers.add(name, value)
        return response

    return handle_lambda_url_invocation


def _check_caller(function: Function, config: FunctionUrlConfig, request: Request) -> None:
    """Keep who calls, for the event. ApiError for one who may not."""
    parts = config.function_arn.split(":")
    if config.auth_type == "AWS_IAM" and (caller := identity.installed().signer(request, "lambda")):
        enforcement.installed().authorize_url(caller, config.function_arn, request)
        request.environ[_CALLER] = caller, parts[4]
    permissions = function.permissions.get(parts[7] if len(parts) == 8 else "$LATEST")
    statements = permissions.policy.Statement if permissions else []
    query = request.query_string.decode("latin-1")
    refusal = url_refusal(config.auth_type, config.function_arn, statements, dict(request.headers), query)
    if refusal:
        raise ApiError("AccessDeniedException", hinted("Forbidden.", refusal), 403)


def _invoke(
    original: Any, router: FunctionUrlRouter, request: Request, api_id: str, region: str, url_params: dict[str, str]
) -> Response:
    try:
        response: Response = original(router, request, api_id, region, **url_params)
    except ServiceException as error:
        members = {name: getattr(error, name, None) for name in ("Reason", "Type")}
        body = {name: value for name, value in members.items() if value} | {"message": error.message}
        response = _error(error.status_code, error.code, body)
        if isinstance(error, TooManyRequestsException):
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
    except (TypeError, ValueError):  # what the function returned is no answer
        response = _error(502, "InternalServerErrorException", {"Message": "Internal Server Error"})
    return response


def _error(status: int, code: str, body: dict[str, Any]) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Response(json.dumps(body), status=status, headers=headers)


def _event(_app: App, original: Any) -> Any:
    def event_for_lambda_url(api_id: str, request: Request) -> Any:
        event = original(api_id, request)
        event["headers"] |= joined_headers(request.headers.items())
        context = event["requestContext"]
        context["http"]["sourceIp"] = event["headers"]["x-forwarded-for"] = request.remote_addr or ""
        if known := request.environ.get(_CALLER):
            context |= authorizer(*known)
        if cookies := cookies_of(request.headers.getlist("Cookie")):
            event["cookies"] = cookies
        if event["isBase64Encoded"]:
            text = text_body(request.headers.get("Content-Type", ""), event["body"])
            if text is not None:
                event |= {"body": text, "isBase64Encoded": False}
        return event

    return event_for_lambda_url


def _answer(_app: App, original: Any) -> Any:
    def lambda_result_to_response(result: InvocationResult) -> Response:
        response: Response = original(result)
        for cookie in set_cookies(result.payload or b""):
            response.headers.add("Set-Cookie", cookie)
        return response

    return lambda_result_to_response


def _should_enforce(_app: App, original: Any) -> Any:
    def should_enforce_self_managed_service(context: RequestContext) -> bool:
        return HOST not in context.request.host.lower() and bool(original(context))

    return should_enforce_self_managed_service


def _host_of_urls(_app: App, original: Any) -> Any:
    def localstack_host(custom_port: int | None = None) -> HostAndPort:  # noqa: ARG001 - callers may know another port
        found: HostAndPort = original()
        try:
            ipaddress.ip_address(found.host)
        except ValueError:
            return found
        return HostAndPort(host="localhost", port=found.port)

    return localstack_host


PATCHES = (
    Patch(
        FunctionUrlRouter,
        "register_routes",
        ("self",),
        _register,
        why="At a function's host LocalStack's own pages and other services' routes come before the function.",
        without="A page that may call a function may call those.",
    ),
    Patch(
        FunctionUrlRouter,
        "handle_lambda_url_invocation",
        ("self", "request", "api_id", "region", "url_params"),
        _handle,
        why="A function URL takes every call, answers no preflight, and throttles with an error of the server.",
        without="A page that works here fails on AWS, or the other way round; so does an unsigned call.",
    ),
    Patch(
        urlrouter,
        "event_for_lambda_url",
        ("api_id", "request"),
        _event,
        why="A function URL encodes all text that is not ASCII in base64, and hands on no cookies and no address.",
        without="A function that reads its event's body as text gets base64 for the first accent in it.",
    ),
    Patch(
        urlrouter,
        "lambda_result_to_response",
        ("result",),
        _answer,
        why="The cookies of a function's answer are left out.",
        without="A function cannot set a cookie.",
    ),
    Patch(
        cors_handlers,
        "should_enforce_self_managed_service",
        ("context",),
        _should_enforce,
        why="Pages may call a function URL by its own CORS configuration, and the answer has the headers of that.",
        without="No page of an origin that is configured for a function URL can call it.",
    ),
    Patch(
        provider,
        "localstack_host",
        ("custom_port",),
        _host_of_urls,
        why="The address of a function URL ends with that of LocalStack, which is no name below which others lie.",
        without="Neither curl nor a browser can call what CreateFunctionUrlConfig answers.",
    ),
)
