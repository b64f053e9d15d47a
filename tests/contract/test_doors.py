"""What an attacker tries through a browser of this machine, and with requests that are too long."""

import gzip
import io
import json
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.function_stack import open_url
from tests.contract.gateway import Gateway, make_bucket, training_request, until
from tests.contract.localstack_process import LocalStack, running_localstack
from tests.contract.memory import memory_grows_less_than
from tests.contract.raw_http import SIGNED, RawAnswer, ask, connect, head, json_headers, read_answer

APPLICATION = "http://localhost:3000"
EVIL = "http://evil.example"
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nevil.html\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="evil.html"\r\n'
    b"Content-Type: text/html\r\n\r\n<script>attack()</script>\r\n--x--\r\n"
)
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=x"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One that a web application may call, with the bucket `pages`."""
    folder = tmp_path_factory.mktemp("doors")
    with running_localstack(folder, EXTRA_CORS_ALLOWED_ORIGINS=APPLICATION, STAGEMAKER_HOSTS="stage.test") as started:
        started.client("s3").create_bucket(Bucket="pages")
        started.client("sagemaker").list_models()
        yield started


def create_training_job(url: str, role: str, name: str, **headers: str) -> RawAnswer:
    """What the page of the attack sends at its end. The names of `headers` have `_` for `-`."""
    body = json.dumps(training_request(name, role)).encode()
    given = {header.replace("_", "-"): value for header, value in headers.items()}
    return ask(url, "POST", "/", {**json_headers("CreateTrainingJob"), **given}, body)


def test_a_page_stores_nothing_in_a_bucket_that_is_there(gateway: Gateway) -> None:
    make_bucket(gateway, "victim", {})
    for browser in (
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": EVIL},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": f"{EVIL}/attack.html"},
    ):
        answer = ask(gateway.url, "POST", "/victim", {**FORM_TYPE, **browser}, FORM)
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert b"<Code>AccessDenied</Code>" in answer.body
    put = ask(gateway.url, "PUT", "/victim/evil.html", {"Origin": EVIL}, b"<script>attack()</script>")
    assert put.status == 403
    assert "Contents" not in gateway.client("s3").list_objects_v2(Bucket="victim")


def test_what_s3_serves_is_a_page_without_rights(gateway: Gateway) -> None:
    make_bucket(gateway, "stored", {"evil.html": b"<script>attack()</script>"})
    gateway.client("s3").put_object(Bucket="stored", Key="typed.html", Body=b"<script>", ContentType="text/html")
    signed = gateway.client("s3").generate_presigned_url("get_object", Params={"Bucket": "stored", "Key": "typed.html"})
    presigned = f"/stored/typed.html?{urlsplit(signed).query}"
    for target in ("/stored/evil.html", "/stored/typed.html", presigned, "/stored/missing.html", "/stored"):
        answer = ask(gateway.url, "GET", target, {"Sec-Fetch-Site": "none"})
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
    host = {"Host": f"stored.s3.localhost:{urlsplit(gateway.url).port}"}
    answer = ask(gateway.url, "GET", "/evil.html", host)
    assert (answer.body, answer.headers["content-security-policy"]) == (b"<script>attack()</script>", "sandbox")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": EVIL},
        {"Origin": "https://app.localstack.cloud"},
        {"Origin": "http://localhost:{port}", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://data.s3-website.localhost:{port}"},
        {"Origin": APPLICATION},  # nobody has configured it here
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Host": "evil.example:{port}"},
        {"Host": "localhost.localstack.cloud:{port}"},
        {"Host": "0.0.0.0:{port}"},
    ],
)
def test_no_page_starts_a_container(gateway: Gateway, role: str, headers: dict[str, str]) -> None:
    port = str(urlsplit(gateway.url).port)
    sent = {name: value.replace("{port}", port) for name, value in headers.items()}
    answer = create_training_job(gateway.url, role, "attack", **sent)
    assert (answer.status, json.loads(answer.body)["__type"]) == (403, "AccessDenied")
    assert gateway.client("sagemaker").list_training_jobs(NameContains="attack")["TrainingJobSummaries"] == []


@pytest.mark.parametrize(
    "target",
    ["/data/train/cat/1.txt", "/_localstack/health", "/_aws/sqs/messages", "/?Action=GetCallerIdentity&Version=1"],
)
def test_a_rebound_name_reads_nothing(gateway: Gateway, target: str) -> None:
    assert ask(gateway.url, "GET", target, {"Host": "evil.example"}).status == 403
    assert ask(gateway.url, "GET", target, {"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_request_without_a_host_is_refused(gateway: Gateway) -> None:
    with connect(gateway.url) as connection:
        connection.sendall(b"GET /_localstack/health HTTP/1.0\r\n\r\n")
        assert read_answer(connection).status == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "[::1]", "stage.test", "data.s3.stage.test"])
def test_the_names_of_the_stage(localstack: LocalStack, host: str) -> None:
    answer = ask(localstack.endpoint, "GET", "/_localstack/health", {"Host": f"{host}:4566"})
    assert answer.status == 200


def test_a_second_request_of_a_connection_is_held_to_the_rules_too(localstack: LocalStack) -> None:
    usual = {"Host": "localhost", "Content-Length": "0"}
    with connect(localstack.endpoint) as connection:
        connection.sendall(head("GET", "/_localstack/health", usual))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(head("GET", "/_localstack/health", {**usual, "Origin": EVIL}))
        assert read_answer(connection).status == 403


def preflight(url: str, target: str, origin: str, method: str = "POST") -> RawAnswer:
    """What a browser asks before it sends a script's request."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-amz-target,content-type"}
    return ask(url, "OPTIONS", target, {"Origin": origin, "Sec-Fetch-Site": "cross-site", **asked})


def test_a_configured_application_calls_with_its_preflight(localstack: LocalStack) -> None:
    allowed = preflight(localstack.endpoint, "/", APPLICATION)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (204, APPLICATION)
    assert "x-amz-target" in allowed.headers["access-control-allow-headers"]
    browser = {"Origin": APPLICATION, "Sec-Fetch-Site": "cross-site", "Referer": f"{APPLICATION}/"}
    answer = ask(localstack.endpoint, "POST", "/", {**json_headers("ListModels"), **browser}, b"{}")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, APPLICATION)
    refused = preflight(localstack.endpoint, "/", EVIL)
    assert (refused.status, "access-control-allow-origin" in refused.headers) == (403, False)


def test_a_configured_application_uploads_with_a_presigned_form(localstack: LocalStack) -> None:
    posted = localstack.client("s3").generate_presigned_post("pages", "photo.txt")
    parts = [f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in posted["fields"].items()]
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nphoto\r\n--x--\r\n'
    body = ("".join(parts) + file).encode()
    browser = {"Origin": APPLICATION, "Sec-Fetch-Site": "cross-site", **FORM_TYPE}
    answer = ask(localstack.endpoint, "POST", "/pages", browser, body)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, APPLICATION)
    assert localstack.client("s3").get_object(Bucket="pages", Key="photo.txt")["Body"].read() == b"photo"
    assert preflight(localstack.endpoint, "/pages/photo.txt", APPLICATION, "PUT").status == 200
    assert preflight(localstack.endpoint, "/pages/photo.txt", EVIL, "PUT").status == 403


def test_a_configured_application_calls_a_function_s_address(localstack: LocalStack) -> None:
    code, functions = io.BytesIO(), localstack.client("lambda")
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): return 'hello'")
    arguments = {"Runtime": "python3.13", "Handler": "main.handler", "Code": {"ZipFile": code.getvalue()}}
    functions.create_function(FunctionName="page", Role="arn:aws:iam::000000000000:role/page", **arguments)
    functions.get_waiter("function_active_v2").wait(FunctionName="page", WaiterConfig={"Delay": 1})
    url = open_url(functions, "page")

    def call(method: str, **headers: str) -> tuple[int, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = ask(localstack.endpoint, method, "/", {"Host": urlsplit(url).netloc, **sent})
        return answer.status, answer.body

    assert call("POST", Origin=APPLICATION, Sec_Fetch_Site="cross-site") == (200, b"hello")
    assert call("GET", Sec_Fetch_Site="none") == (200, b"hello")
    assert call("GET", Sec_Fetch_Site="same-origin") == (200, b"hello")
    assert call("POST", Origin=url.rstrip("/"), Sec_Fetch_Site="same-origin")[0] == 403
    assert call("POST", Origin=EVIL)[0] == 403
    functions.delete_function(FunctionName="page")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("EXTRA_CORS_ALLOWED_ORIGINS", "*", "EXTRA_CORS_ALLOWED_ORIGINS must name origins, such as"),
        ("DISABLE_CORS_CHECKS", "1", "DISABLE_CORS_CHECKS lets every web page in"),
    ],
)
def test_a_setting_that_lets_everybody_in_ends_it(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence), running_localstack(tmp_path, **{name: value}):
        pass


@pytest.mark.parametrize(
    ("method", "target", "headers", "status", "code"),
    [
        ("POST", "/", json_headers("CreateModel"), 413, "RequestEntityTooLargeException"),
        ("POST", "/endpoints/a/invocations", {"Authorization": SIGNED.format("sagemaker")}, 400, "ValidationError"),
        ("POST", "/2015-03-31/functions", {}, 413, "RequestEntityTooLargeException"),
        ("POST", "/2015-03-31/functions/a/invocations", {}, 413, "RequestTooLargeException"),
        ("PUT", "/pages?policy", {"Authorization": SIGNED.format("s3")}, 413, "RequestEntityTooLargeException"),
    ],
)
def test_a_body_of_a_gigabyte_is_refused_before_a_byte_of_it(
    localstack: LocalStack, method: str, target: str, headers: dict[str, str], status: int, code: str
) -> None:
    sent = {"Host": "localhost", "Content-Length": str(1024 * MIB), "Expect": "100-continue", **headers}
    with connect(localstack.endpoint) as connection:
        connection.sendall(head(method, target, sent))
        answer = read_answer(connection)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, code)


def send_chunks(url: str, headers: dict[str, str], size_bytes: int) -> RawAnswer:
    """A body in chunks of 1 MiB, until it is refused; then the answer."""
    chunk = f"{MIB:x}\r\n".encode() + b" " * MIB + b"\r\n"
    with connect(url) as connection:
        connection.sendall(head("POST", "/", {"Host": "localhost", "Transfer-Encoding": "chunked", **headers}))
        try:
            for _ in range(size_bytes // MIB):
                connection.sendall(chunk)
        except OSError:
            pass  # it was refused, and cut off
        return read_answer(connection)


def test_eight_endless_bodies_at_once_take_no_memory(localstack: LocalStack) -> None:
    answers = []

    def attack() -> None:
        answers.append(send_chunks(localstack.endpoint, json_headers("CreateModel"), 1024 * MIB))

    threads = [threading.Thread(target=attack) for _ in range(8)]
    with memory_grows_less_than(100, localstack.process.pid):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [answer.status for answer in answers] == [413] * 8
    assert localstack.client("sagemaker").list_models()["Models"] == []


def test_a_body_of_the_longest_length_is_read(localstack: LocalStack) -> None:
    body = b" " * (16 * MIB - 2) + b"{}"
    assert ask(localstack.endpoint, "POST", "/", json_headers("ListModels"), body).status == 200
    assert ask(localstack.endpoint, "POST", "/", json_headers("ListModels"), b" " + body).status == 413


def test_a_large_object_is_taken_as_ever(localstack: LocalStack) -> None:
    s3, body = localstack.client("s3"), b"0123456789abcdef" * (8 * MIB)
    with memory_grows_less_than(100, localstack.process.pid):
        s3.put_object(Bucket="pages", Key="large", Body=body)
    # What LocalStack sends is in its memory for as long as its reader is slow.
    assert s3.get_object(Bucket="pages", Key="large")["Body"].read() == body
    s3.delete_object(Bucket="pages", Key="large")


def test_a_body_that_was_taken_for_an_object_and_is_read_whole_is_refused(localstack: LocalStack) -> None:
    """A PUT without a signature may be an upload to S3. LocalStack goes by the path: this one is Lambda's."""
    size = 300 * MIB
    headers = {"Host": "localhost", "Content-Length": str(size), "Connection": "close"}
    with memory_grows_less_than(150, localstack.process.pid), connect(localstack.endpoint) as connection:
        connection.sendall(head("PUT", "/2015-03-31/functions/a/configuration", headers))
        for _ in range(size // MIB - 1):
            connection.sendall(b" " * MIB)
        connection.sendall(b" " * (MIB - 2) + b"{}")
        assert read_answer(connection).status == 500  # by LocalStack's parser; 404 for a body that it has read


def test_a_compressed_body_is_inflated_up_to_the_limit(localstack: LocalStack) -> None:
    headers = {**json_headers("ListModels"), "Content-Encoding": "gzip"}
    assert ask(localstack.endpoint, "POST", "/", headers, gzip.compress(b"{}")).status == 200
    bomb = gzip.compress(b" " * (512 * MIB), compresslevel=1)
    with memory_grows_less_than(100, localstack.process.pid):
        answer = ask(localstack.endpoint, "POST", "/", headers, bomb)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")


def test_a_websocket_is_not_implemented(localstack: LocalStack) -> None:
    answer = ask(localstack.endpoint, "GET", "/", {"Upgrade": "websocket", "Connection": "Upgrade"})
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (501, "NotImplementedException")


def test_a_head_that_does_not_end_is_cut_off(localstack: LocalStack) -> None:
    with connect(localstack.endpoint) as connection:
        begun = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(0.5)
        with suppress(ConnectionError):
            while not is_closed(connection):
                assert time.monotonic() - begun < 60
                connection.sendall(b"X-More: 1\r\n")
        assert time.monotonic() - begun > 9


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed the connection; waits for half a second."""
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False


def test_a_head_that_is_too_long_is_refused(localstack: LocalStack) -> None:
    long = {f"X-{number}": "1" * 1000 for number in range(20)}
    assert ask(localstack.endpoint, "GET", "/", long).status == 400


def test_connections_that_send_nothing_hold_nobody_up(localstack: LocalStack) -> None:
    waiting: list[socket.socket] = [connect(localstack.endpoint) for _ in range(100)]
    try:
        until(lambda: ask(localstack.endpoint, "GET", "/_localstack/health", {}).status, lambda status: status == 200)
    finally:
        for each in waiting:
            each.close()


@pytest.mark.parametrize("module", ["stagemaker.adapters.localstack", "stagemaker.app"])
def test_localstack_does_not_start_without_the_stage(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    told = "LocalStack does not start without Stagemaker, which cannot be imported: ModuleNotFoundError"
    with pytest.raises(AssertionError, match=told), running_localstack(tmp_path / "state", PYTHONPATH=str(tmp_path)):
        pass
