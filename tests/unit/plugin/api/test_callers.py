"""By which names the stage is called, and from which web pages."""

from collections.abc import Iterable

import pytest

from stagemaker.api.callers import callers, host_name
from stagemaker.api.http_head import make_head

APPLICATION = "http://localhost:3000"
CALLERS = callers(["localstack", "stage.example.com:4566", "172.17.0.1"], [APPLICATION])


def refused(
    headers: Iterable[tuple[str, str]], *, method: str = "POST", path: str = "/", address: str = "127.0.0.1"
) -> int | None:
    """The status, or None."""
    refusal = CALLERS.refusal(make_head(method, path, headers, address))
    return refusal.status if refusal else None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:4566", "localhost"),
        ("127.0.0.1:4566", "127.0.0.1"),
        ("[::1]:4566", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("::1", "::1"),
        ("data.s3.localhost:4566", "data.s3.localhost"),
        ("", None),
        ("[localhost]:4566", None),
        ("localhost:4566:80", None),
        ("user@[::1]", None),
    ],
)
def test_the_name_in_a_host_header(value: str, name: str | None) -> None:
    assert host_name(value) == name


@pytest.mark.parametrize(
    "host",
    [
        "localhost:4566",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1:4566",
        "[::1]:4566",
        "localstack:4566",
        "stage.example.com",
        "172.17.0.1:4566",
        "data.s3.localhost:4566",
        "my.data.s3.eu-west-1.localhost",
        "abc123.lambda-url.us-east-1.127.0.0.1:4566",
        "data.s3.stage.example.com",
    ],
)
def test_a_name_of_the_stage_and_what_lies_below_it(host: str) -> None:
    assert refused([("Host", host)]) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "example.com",
        "0.0.0.0",  # by which browsers reach loopback too
        "10.0.0.1:4566",
        "[::2]",
        "localhost.localstack.cloud:4566",
    ],
)
def test_a_name_that_may_have_been_made_to_point_here_is_refused(host: str) -> None:
    assert refused([("Host", host)]) == 403


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"], [""], ["local host[]"]])
def test_a_request_has_one_host(hosts: list[str]) -> None:
    assert refused([("Host", host) for host in hosts]) == 400


def test_the_address_that_the_connection_was_made_to_is_a_name_of_the_stage() -> None:
    assert refused([("Host", "172.18.0.2:4566")], address="172.18.0.2") is None
    assert refused([("Host", "169.254.170.2")], address="169.254.170.2") is None
    assert refused([("Host", "172.18.0.2:4566")], address="172.18.0.3") == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": APPLICATION},
        {"Origin": APPLICATION, "Sec-Fetch-Site": "same-site"},
        {"Origin": APPLICATION, "Sec-Fetch-Site": "cross-site", "Referer": f"{APPLICATION}/upload?a=b"},
        {"Referer": f"{APPLICATION}/page", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_what_is_no_browser_s_or_comes_from_a_configured_application_goes_on(headers: dict[str, str]) -> None:
    assert refused([("Host", "localhost"), *headers.items()]) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": "https://app.localstack.cloud"},
        {"Origin": "http://localhost:4566"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost:3000"},
        {"Origin": "http://localhost:3000.evil.example"},
        {"Origin": "", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:4566", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://evil.example", "Referer": APPLICATION},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "new-word"},
        {"Referer": "http://evil.example/page"},
        {"Referer": "no address", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_web_page_that_is_not_configured_is_refused(headers: dict[str, str]) -> None:
    assert refused([("Host", "localhost"), *headers.items()]) == 403


def test_one_configured_origin_does_not_take_another_with_it() -> None:
    assert refused([("Host", "localhost"), ("Origin", APPLICATION), ("Origin", "null")]) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_address_that_was_typed_is_read(method: str) -> None:
    assert refused([("Host", "localhost"), ("Sec-Fetch-Site", "none")], method=method, path="/data/a.html") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_an_address_that_was_typed_changes_nothing(method: str) -> None:
    assert refused([("Host", "localhost"), ("Sec-Fetch-Site", "none")], method=method) == 403


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("localhost:4566", "/_localstack/swagger", None),
        ("abc.lambda-url.us-east-1.localhost", "/style.css", None),
        ("site.s3-website.localhost", "/style.css", None),
        ("localhost:4566", "/?Action=CreateUser&UserName=evil", 403),
        ("localhost:4566", "/data/script.js", 403),
        ("data.s3.localhost", "/script.js", 403),
        ("lambda-url.localhost", "/script.js", 403),
    ],
)
def test_a_page_may_load_its_own_parts_where_it_reaches_nothing_else(host: str, path: str, status: int | None) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Referer": f"http://{host}/"}):
        sent = [("Host", host), *headers.items()]
        assert refused(sent, method="GET", path=path) == status
        assert refused(sent, method="POST", path=path) == 403


@pytest.mark.parametrize("origin", ["*", "null", "http://*.example.com", "http://a.example/", "HTTP://a.example", "a"])
def test_an_origin_is_configured_as_browsers_write_it(origin: str) -> None:
    with pytest.raises(ValueError, match="EXTRA_CORS_ALLOWED_ORIGINS must name origins, such as"):
        callers([], [origin])


def test_a_host_that_is_configured_is_one() -> None:
    with pytest.raises(ValueError, match=r"STAGEMAKER_HOSTS must name hosts, .* \(it has a:b:c\)"):
        callers(["a:b:c"], [])


def test_a_refusal_says_what_to_set() -> None:
    def told(*headers: tuple[str, str]) -> str:
        refusal = CALLERS.refusal(make_head("POST", "/", headers, "127.0.0.1"))
        return refusal.message if refusal else ""

    assert "STAGEMAKER_HOSTS, and evil.example is not" in told(("Host", "evil.example"))
    assert "EXTRA_CORS_ALLOWED_ORIGINS, and null is not" in told(("Host", "localhost"), ("Origin", "null"))
