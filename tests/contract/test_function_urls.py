"""Function URLs as curl, a signed client and the pages of a browser call them."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra import engine, roles
from infra.blueprint import Blueprint
from infra.clients import connect
from infra.resources import titles
from infra.resources.function import Function
from infra.resources.function_alias import FunctionAlias
from infra.resources.function_url import FunctionUrl
from infra.resources.resource import Resource
from infra.resources.role import IamRole
from infra.settings import DeploymentSettings, FunctionSettings
from tests.contract.browser import browser_title, served
from tests.contract.function_stack import FunctionStack, open_url
from tests.contract.held_functions import BUCKET, Held
from tests.contract.held_functions import create as create_held
from tests.contract.localstack_process import running_localstack
from tests.contract.raw_http import RawAnswer, ask

PAGE, OTHER = "http://localhost:3000", "http://localhost:3001"
CORS = {"AllowOrigins": [PAGE], "AllowMethods": ["POST"], "AllowHeaders": ["content-type"], "MaxAge": 60}
ECHO = """
import json

def handler(event, context):
    if event.get("rawPath") == "/broken":
        return {"statusCode": "many"}
    if event.get("rawPath") == "/cookies":
        return {"statusCode": 201, "cookies": ["a=1", "b=2; Path=/"], "body": "made"}
    return {"event": event, "arn": context.invoked_function_arn}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionStack]:
    with running_localstack(tmp_path_factory.mktemp("urls")) as localstack:
        localstack.client("s3").create_bucket(Bucket=BUCKET)
        stack = FunctionStack(localstack)
        stack.create("echo", ECHO)
        yield stack


@pytest.fixture(scope="module")
def url(stack: FunctionStack) -> str:
    """Of the function `echo`: the pages of PAGE may call it."""
    return open_url(stack.functions, "echo", Cors=CORS)


def call(stack: FunctionStack, url: str, method: str = "POST", target: str = "/", **headers: str) -> RawAnswer:
    """With a Host header, since not every resolver knows names below localhost. `_` in a header's name is `-`."""
    body = headers.pop("body", "").encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(stack.localstack.endpoint, method, target, {"Host": urlsplit(url).netloc, **sent}, body)


def test_the_event_of_a_url(stack: FunctionStack, url: str) -> None:
    answer = call(
        stack,
        url,
        target="/a/b?x=1&x=2&y=",
        Content_Type="text/plain",
        Cookie="c=1; d=2",
        User_Agent="me",
        body="hej",
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found = json.loads(answer.body)
    event, context = found["event"], found["event"]["requestContext"]
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/a/b")
    assert (event["rawQueryString"], event["queryStringParameters"]) == ("x=1&x=2&y=", {"x": "1,2", "y": ""})
    assert (event["body"], event["isBase64Encoded"]) == ("hej", False)
    assert event["cookies"] == ["c=1", "d=2"]
    assert event["headers"]["content-type"] == "text/plain"
    assert context["http"] == {
        "method": "POST", "path": "/a/b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "me",
    }  # fmt: skip
    assert (context["accountId"], context["stage"]) == ("anonymous", "$default")
    assert context["domainName"] == urlsplit(url).netloc
    assert context["apiId"] == context["domainPrefix"] == urlsplit(url).netloc.partition(".")[0]
    assert found["arn"].endswith(":function:echo")


def test_curl_sends_a_photo(stack: FunctionStack, url: str, tmp_path: Path) -> None:
    """By the address as it is: curl knows names below localhost."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(bytes(range(256)))
    command = ["curl", "-sS", "--fail", "--max-time", "60", "-H", "Content-Type: image/jpeg", "--data-binary"]
    answer = subprocess.run([*command, f"@{photo}", url], capture_output=True, check=True)
    event = json.loads(answer.stdout)["event"]
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == photo.read_bytes()


def test_what_a_function_answers_becomes_the_response(stack: FunctionStack, url: str) -> None:
    answer = call(stack, url, "GET", "/cookies")
    assert (answer.status, answer.body) == (201, b"made")
    assert answer.headers["set-cookie"] == "b=2; Path=/"  # the last of both
    broken = call(stack, url, "GET", "/broken")
    assert (broken.status, broken.headers["x-amzn-errortype"]) == (502, "InternalServerErrorException")


def test_an_address_is_closed_until_the_policy_of_the_function_opens_it(stack: FunctionStack) -> None:
    stack.create("closed", ECHO)
    stack.functions.publish_version(FunctionName="closed")
    stack.functions.create_alias(FunctionName="closed", Name="live", FunctionVersion="1")
    config = {"FunctionName": "closed", "Qualifier": "live"}
    url = stack.functions.create_function_url_config(**config, AuthType="NONE")["FunctionUrl"]
    answer = call(stack, url)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert json.loads(answer.body)["Message"].startswith("Forbidden.")
    stack.functions.delete_function_url_config(**config)
    opened = open_url(stack.functions, "closed", Qualifier="live")
    found = json.loads(call(stack, opened).body)
    assert found["arn"].endswith(":function:closed:live")
    assert call(stack, url).status == 403  # there is none any more


def test_a_url_of_aws_iam_takes_only_signed_calls(stack: FunctionStack) -> None:
    stack.create("signed", ECHO)
    url = stack.functions.create_function_url_config(FunctionName="signed", AuthType="AWS_IAM")["FunctionUrl"]
    assert call(stack, url).status == 403
    request = AWSRequest("POST", url, data=b"")
    SigV4Auth(Credentials("test", "test"), "lambda", "us-east-1").add_auth(request)
    headers = {name.replace("-", "_"): value for name, value in request.headers.items()}
    assert call(stack, url, **headers).status == 200


def test_a_page_of_a_configured_origin_asks_and_calls(stack: FunctionStack, url: str) -> None:
    page = {"Origin": PAGE, "Sec_Fetch_Site": "cross-site"}
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    preflight = call(stack, url, "OPTIONS", **page, **asked)
    assert (preflight.status, preflight.body) == (200, b"")
    cors = {name.removeprefix("access-control-"): value for name, value in preflight.headers.items()}
    assert cors["allow-origin"] == PAGE
    assert (cors["allow-methods"], cors["allow-headers"], cors["max-age"]) == ("POST", "content-type", "60")
    answer = call(stack, url, **page, Content_Type="image/jpeg", body="photo")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert json.loads(answer.body)["event"]["isBase64Encoded"]
    assert "access-control-allow-origin" not in call(stack, url).headers  # curl


def test_no_other_page_calls_and_a_configured_one_calls_nothing_else(stack: FunctionStack, url: str) -> None:
    for headers in (
        {"Origin": OTHER, "Sec_Fetch_Site": "cross-site"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Referer": f"{PAGE}/page.html"},
    ):
        assert call(stack, url, **headers).status == 403
    stack.create("plain", ECHO)
    plain = open_url(stack.functions, "plain")
    page = {"Origin": PAGE, "Sec_Fetch_Site": "cross-site"}
    assert call(stack, plain, **page).status == 403  # has no CORS configuration
    assert ask(stack.localstack.endpoint, "GET", "/held", {"Origin": PAGE}).status == 403
    for target in ("/_localstack/health", "/_aws/sqs/messages", "/queue/us-east-1/000000000000/q?Action=SendMessage"):
        answer = call(stack, url, target=target, **page, X_Amz_Target="AmazonSQS.ListQueues")
        assert (
            json.loads(answer.body)["event"]["rawPath"] == target.partition("?")[0]
        )  # the function's, like all others
    forged = {"Origin": PAGE, "Host": urlsplit(url).netloc.replace(".lambda-url.", ".s3.")}
    assert ask(stack.localstack.endpoint, "GET", "/", forged).status == 403


def test_every_origin_may_call_where_a_star_says_so(stack: FunctionStack) -> None:
    stack.create("open", ECHO)
    url = open_url(stack.functions, "open", Cors={"AllowOrigins": ["*"]})
    answer = call(stack, url, Origin=OTHER, Sec_Fetch_Site="cross-site")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_a_throttled_url_says_so(stack: FunctionStack) -> None:
    create_held(stack, "throttled")
    url = open_url(stack.functions, "throttled")
    stack.functions.put_function_concurrency(FunctionName="throttled", ReservedConcurrentExecutions=1)
    held = Held(stack, "throttled", 1)
    held.wait(running=1)
    answer = call(stack, url)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert json.loads(answer.body) == {
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    }
    held.release()
    assert call(stack, url).status == 200


def test_our_own_deployment_is_made_changed_and_deleted(stack: FunctionStack, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(ECHO.replace("def handler", "def lambda_handler"))
    clients = connect("local", "us-east-1", {"AWS_ENDPOINT_URL": stack.localstack.endpoint})

    def resources(**settings: Any) -> list[Resource]:
        made = DeploymentSettings(project="deployed", function=FunctionSettings(**settings))
        blueprint = Blueprint(made, clients.account, "ab" * 32)
        handler = tmp_path / "handler.py"
        return [
            IamRole(clients.iam, roles.function(blueprint), titles.LAMBDA_ROLE),
            Function(clients, blueprint, handler),
            FunctionAlias(clients, blueprint, handler),
            FunctionUrl(clients, blueprint),
        ]

    def actions(wanted: list[Resource]) -> list[str]:
        return [engine.apply_one(each)[0] for each in wanted]

    first = resources(reserved=3, provisioned=1, url=True, origins=(PAGE,))
    assert actions(first) == ["create"] * 4
    assert engine.plan(first).lines()[-1] == "Nothing would change."
    url = engine.apply_one(first[-1])[1]
    assert call(stack, url, Origin=PAGE, Sec_Fetch_Site="cross-site").status == 200
    warm = stack.functions.get_provisioned_concurrency_config(FunctionName="deployed-proxy", Qualifier="live")
    assert (warm["Status"], warm["AvailableProvisionedConcurrentExecutions"]) == ("READY", 1)

    (tmp_path / "handler.py").write_text("def lambda_handler(event, context): return 'changed'")
    second = resources(provisioned=2)
    assert actions(second) == ["unchanged", "update", "update", "delete"]
    assert engine.plan(second[:-1]).lines()[-1] == "Nothing would change."
    assert stack.invoke("deployed-proxy", {}, Qualifier="live")[0] == "changed"
    assert call(stack, url).status == 403
    assert "ReservedConcurrentExecutions" not in stack.functions.get_function_concurrency(FunctionName="deployed-proxy")

    assert engine.destroy(second, lambda _: None) == 3
    assert engine.destroy(first, lambda _: None) == 0


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Debian's chromium is not installed")
def test_a_browser_shows_the_answer_to_pages_of_the_configured_origin_only(stack: FunctionStack) -> None:
    """The same rules as above, by a browser's own judgement."""
    stack.create("browsed", ECHO)
    page = """<body><script>
    fetch("{url}", {method: "POST", headers: {"content-type": "image/jpeg"}, body: new Uint8Array([255, 216])})
        .then(answer => answer.json())
        .then(answer => document.title = "answered " + answer.event.body, error => document.title = "refused");
    </script></body>"""
    texts = dict[str, str]()
    with served(texts) as origin, served(texts) as other:
        url = open_url(stack.functions, "browsed", Cors={**CORS, "AllowOrigins": [origin]})
        texts["/"] = page.replace("{url}", url)
        assert browser_title(origin) == f"answered {base64.b64encode(bytes([255, 216])).decode()}"
        assert browser_title(other) == "refused"
