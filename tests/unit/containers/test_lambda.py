"""The Lambda handler in each of its four systems, with real boto3 and a test server in the place of SageMaker
Runtime."""

import base64
import importlib.util
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HANDLER = Path(__file__).resolve().parents[3] / "containers" / "lambda" / "handler.py"
ROWS = "[[-10.41, 3.5, -2.87]]"
LABELS = '[[{"label": "Beagle", "probability": 0.9}]]'
URL = {"url": "https://example.com/dog.jpg"}
TEXT_HEADERS = {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"}


class Runtime(BaseHTTPRequestHandler):
    """InvokeEndpoint: the name of the endpoint decides the answer."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        endpoint = self.path.split("/")[2]
        content_type = self.headers["Content-Type"]
        content = json.loads(body) if content_type == "application/json" else body
        self.server.seen.append((endpoint, content_type, content))  # type: ignore[attr-defined]
        if self.headers["Accept"] == "application/json;top-k=5" and endpoint == "dogs":
            return self.reply(200, LABELS)
        if endpoint == "refuses":
            container = {
                "OriginalStatusCode": 415,
                "OriginalMessage": '{"error": "Send an image."}',
                "LogStreamArn": "arn",
            }
            self.reply(424, {"Message": "Received client error (415)"} | container, "ModelError")
        elif endpoint == "crashes":
            self.reply(424, {"Message": "x", "OriginalStatusCode": 500, "OriginalMessage": "<html>"}, "ModelError")
        elif endpoint == "silent":  # the form in which SageMaker reports that no answer came
            self.reply(424, {"Message": "x", "OriginalStatusCode": 0, "OriginalMessage": "It timed out."}, "ModelError")
        elif endpoint == "binary":
            self.reply(200, b"\xff\xfe")
        elif endpoint == "page":
            self.reply(200, "<html>")
        elif endpoint == "other":
            self.reply(200, {"predictions": [1]})
        elif endpoint == "denied":
            self.reply(403, {"Message": "User is not authorized."}, "AccessDeniedException")
        else:
            self.reply(200, ROWS)

    def reply(self, status: int, value: Any, code: str = "") -> None:
        body = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("x-amzn-errortype", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class RuntimeServer(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, str, Any]]


@pytest.fixture
def runtime() -> Iterator[RuntimeServer]:
    with RuntimeServer(("127.0.0.1", 0), Runtime) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


type Handle = Callable[..., Any]


@pytest.fixture
def handle(runtime: RuntimeServer, monkeypatch: pytest.MonkeyPatch) -> Handle:
    """A function that loads the handler with a new environment, as Lambda does, and calls it."""

    def call(event: Any, system: str = "E", endpoint: str = "dogs", port: int | None = None) -> Any:
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or runtime.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "ENDPOINT_NAME": endpoint,
            "SYSTEM": system,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("handler", HANDLER)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            return json.loads(json.dumps(module.lambda_handler(event, "the context")))
        finally:
            module.CLIENT.close()

    return call


def event_c(request: Any, endpoint: str = "dogs") -> dict[str, str]:
    return {"endpoint_name": endpoint, "request_dict": json.dumps(request)}


def test_system_a(handle: Handle) -> None:
    assert handle(URL, "A") == {"statusCode": 200, "body": ROWS}


def test_system_b(handle: Handle) -> None:
    assert handle(URL, "B") == ROWS


def test_system_c(handle: Handle, runtime: RuntimeServer) -> None:
    assert handle(event_c(URL, "p4-dog-image-classification"), "C", endpoint="") == [1]
    assert runtime.seen == [("p4-dog-image-classification", "application/json", URL)]


def test_system_e_has_its_keys_in_their_order_and_spelling(handle: Handle) -> None:
    answer = handle(URL)
    assert list(answer) == ["statusCode", "headers", "type-result", "COntent-Type-In", "body"]
    expected = {"statusCode": 200, "headers": TEXT_HEADERS, "type-result": "<class 'str'>", "body": ROWS}
    assert answer == expected | {"COntent-Type-In": "'the context'"}


@pytest.mark.parametrize("request_", [URL, {"s3": "s3://bucket/key"}, {"instances": [{"b64": "AAAA"}]}])
def test_each_request_is_passed_on_unchanged(handle: Handle, runtime: RuntimeServer, request_: Any) -> None:
    handle(request_ | {"session": "other keys are not the endpoint's"})
    assert runtime.seen == [("dogs", "application/json", request_)]


ERROR = '{"error": "Send an image."}'


def test_each_system_returns_the_containers_error_in_its_form(handle: Handle) -> None:
    assert handle(URL, "A", "refuses") == {"statusCode": 415, "body": ERROR}
    assert handle(URL, "B", "refuses") == ERROR
    assert handle(event_c(URL, "refuses"), "C") == json.loads(ERROR)
    answer = handle(URL, "E", "refuses")
    assert (answer["statusCode"], answer["body"], answer["headers"]) == (415, ERROR, TEXT_HEADERS)


@pytest.mark.parametrize(
    ("endpoint", "status", "says"),
    [
        ("crashes", 500, "<html>"),
        ("silent", 502, "It timed out."),
        ("binary", 502, "Endpoint binary answered something that is not text."),
        ("denied", 403, "AccessDeniedException: User is not authorized."),
        ("", 500, "The function has no endpoint: set ENDPOINT_NAME."),
    ],
)
def test_other_failures_have_a_status_and_a_sentence(handle: Handle, endpoint: str, status: int, says: str) -> None:
    answer = handle(URL, "A", endpoint)
    assert answer["statusCode"] == status
    assert json.loads(answer["body"])["error"].startswith(says)


@pytest.mark.parametrize("answer", ["other", "page"])
def test_system_c_refuses_an_answer_without_scores(handle: Handle, answer: str) -> None:
    assert handle(event_c(URL, answer), "C") == {"error": "The endpoint's answer holds no scores."}


def test_an_endpoint_that_cannot_be_reached_answers_502(handle: Handle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = handle(URL, "A", port=port)
    assert (answer["statusCode"], answer["body"]) == (502, '{"error": "Endpoint dogs could not be reached."}')


@pytest.mark.parametrize("event", [{}, [], None, "url", 5, {"URL": "x"}, {"url": "x", "s3": "y"}])
def test_an_event_without_exactly_one_request_is_refused(handle: Handle, runtime: RuntimeServer, event: Any) -> None:
    answer = handle(event, "A")
    assert answer["statusCode"] == 400
    assert "exactly one of url, s3, instances" in answer["body"]
    assert handle(event_c(event), "C")["error"].startswith("The event must hold exactly one of")
    assert not runtime.seen


@pytest.mark.parametrize(
    "event", [URL, {"endpoint_name": "dogs"}, {"endpoint_name": "dogs", "request_dict": URL}, None]
)
def test_an_event_in_another_form_than_system_c_is_refused(handle: Handle, event: Any) -> None:
    assert handle(event, "C") == {"error": "The event must hold endpoint_name and request_dict, both strings."}


def test_system_c_refuses_a_request_that_is_not_json(handle: Handle) -> None:
    event = {"endpoint_name": "dogs", "request_dict": "{"}
    assert handle(event, "C") == {"error": "request_dict is not valid JSON."}


def test_an_unknown_system_raises(handle: Handle) -> None:
    with pytest.raises(ValueError, match="SYSTEM must be one of A, B, C, E, not 'D'"):
        handle(URL, "D")


def by_url(body: bytes | str, content_type: str | None = None, method: str = "POST") -> dict[str, Any]:
    """A request to the function's URL, as Lambda hands it on."""
    event: dict[str, Any] = {"version": "2.0", "requestContext": {"http": {"method": method, "path": "/"}}}
    event["headers"] = {"host": "x.lambda-url.us-east-1.on.aws"} | ({"content-type": content_type or ""})
    if isinstance(body, bytes):
        return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event | {"isBase64Encoded": False} | ({"body": body} if body else {})


def answered(answer: Any) -> tuple[int, str]:
    assert answer["headers"] == {"Content-Type": "application/json"}
    assert answer.keys() == {"statusCode", "headers", "body"}
    return answer["statusCode"], answer["body"]


@pytest.mark.parametrize("system", ["A", "B", "C", "E"])
def test_a_photo_at_the_url_is_answered_with_labels_in_every_system(
    handle: Handle, runtime: RuntimeServer, system: str
) -> None:
    assert answered(handle(by_url(b"\xff\xd8photo", "image/jpeg"), system)) == (200, LABELS)
    assert runtime.seen == [("dogs", "image/jpeg", b"\xff\xd8photo")]


def test_an_event_at_the_url_is_answered_with_labels(handle: Handle, runtime: RuntimeServer) -> None:
    assert answered(handle(by_url(json.dumps(URL), "application/json"))) == (200, LABELS)
    assert answered(handle(by_url(json.dumps(event_c(URL)), "text/plain"), "C", "")) == (200, LABELS)
    assert runtime.seen == [("dogs", "application/json", URL)] * 2


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (by_url("", method="GET"), "POST a photo with its Content-Type"),
        (by_url("photo", "text/plain"), "POST a photo with its Content-Type"),
        (by_url(b"\xff", "application/octet-stream"), "POST a photo with its Content-Type"),
        (by_url("[]", "application/json"), "exactly one of url, s3, instances"),
        (by_url(b"", "image/png") | {"body": "not base64"}, "not valid base64"),
    ],
)
def test_a_request_to_the_url_that_is_neither_is_refused(handle: Handle, event: Any, says: str) -> None:
    status, body = answered(handle(event))
    assert status == 400
    assert says in json.loads(body)["error"]


def test_a_refusal_of_the_container_reaches_the_caller_of_the_url(handle: Handle) -> None:
    assert answered(handle(by_url(b"\xff", "image/gif"), "E", "refuses")) == (415, ERROR)
