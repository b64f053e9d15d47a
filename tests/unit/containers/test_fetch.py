"""A caller's URL is fetched only from the public internet: evasions, redirects and bounds.

The servers are real ones on loopback, which only `allowed_origins` makes reachable. A table resolves the names.
"""

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from containers.serve import fetch as module
from containers.serve.addresses import is_host, is_public
from containers.serve.fetch import Resolve, fetch, parse
from containers.serve.refused import Refused
from tests.unit.containers.fetch_server import Server, running

PUBLIC = "93.184.215.14"


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def table(**names: list[str]) -> Resolve:
    """A resolver for literal addresses and for `names`, in which an underscore means a dot."""
    known = {name.replace("_", "."): addresses for name, addresses in names.items()}

    async def resolve(host: str, port: int) -> list[str]:
        if host in known:
            return known[host]
        return [str(ip_address(host))] if is_literal(host) else await fail()

    async def fail() -> list[str]:
        raise socket.gaierror("unknown name")

    return resolve


def is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def get(url: str, resolve: Resolve | None = None, **options: Any) -> bytes:
    return asyncio.run(fetch(url, resolve=resolve or table(), **options))


def refusal(url: str, resolve: Resolve | None = None, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        get(url, resolve, **options)
    assert caught.value.message.endswith(".")
    return caught.value


# URLs that are refused for their form, before a name is resolved.
FORMS = """
ftp://example.com/dog.jpg
file:///etc/passwd
gopher://example.com:70/_x
data:image/png;base64,AAAA
javascript:alert(1)
//example.com/dog.jpg
example.com/dog.jpg
/dog.jpg
http:/example.com/dog.jpg
http:///dog.jpg
http://
http://user@example.com/
http://user:secret@example.com/
http://:@example.com/
http://example.com@127.0.0.1/
http://127.0.0.1\\@example.com/
http:\\\\127.0.0.1\\
http://2130706433/
http://017700000001/
http://0x7f000001/
http://0x7f.0.0.1/
http://0177.0.0.1/
http://127.1/
http://127.0.1/
http://0/
http://0x/
http://127.0.0.01/
http://1.2.3.4.5/
http://256.256.256.256/
http://[127.0.0.1]/
http://[::1/
http://::1/
http://[fe80::1%25eth0]/
http://[fe80::1%eth0]/
http://[v1.x]/
http://\u2460\u2461\u2466.0.0.1/
http://\uff11\uff12\uff17.0.0.1/
http://127\u30020\u30020\u30021/
http://ex\u00e4mple.com/
http://localhost%00.example.com/
http://exam ple.com/
http://example.com/a b
http://example.com/\r\nHost: other
http://exam\tple.com/
http://example.com/\x00
http://example.com:0/
http://example.com:22/
http://example.com:25/
http://example.com:-1/
http://example.com:65536/
http://example.com:99999/
http://example.com:8o/
http://example..com/
http://.example.com/
http://example.com../
http://-example.com/
http://ex*mple.com/
http://example.com,127.0.0.1/
""".strip("\n").split("\n")


async def never(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was resolved")


@pytest.mark.parametrize("url", FORMS)
def test_a_form_that_is_refused_before_any_name_is_resolved(url: str) -> None:
    assert refusal(url, never).status == 400


def test_a_url_has_a_bounded_length() -> None:
    assert refusal("http://example.com/" + "a" * 8192, never).status == 400
    assert refusal("http://" + "a" * 64 + ".com/", never).status == 400
    assert refusal("", never).status == 400


# Addresses that are not on the public internet, in all their spellings.
PRIVATE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.170 192.0.2.1 192.88.99.1
192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 168.63.129.16 224.0.0.1 224.0.1.1 239.255.255.250
233.252.0.1 240.0.0.1 255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:10.0.0.1
::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::1 64:ff9b:1::8.8.8.8
100::1 100:0:0:1::1
2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 2002:808:808::
3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 fe80::a9fe:a9fe fec0::1 febf::1 ff02::1 ff0e::1 4000::1
"""
OPEN = f"""
8.8.8.8 1.1.1.1 {PUBLIC} 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.167.1.1 223.255.255.1
2606:4700::1111 2a00:1450::1 2001:4860:4860::8888 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_a_private_address_is_refused_as_a_literal_and_behind_a_name(address: str) -> None:
    assert not is_public(ip_address(address))
    literal = f"[{address}]" if ":" in address else address
    says = "The URL's host is not on the public internet."
    for host in (literal, "photos.example.com", "photos.example.com."):
        assert refusal(f"http://{host}/dog.jpg", table(photos_example_com=[address])).message == says


@pytest.mark.parametrize("address", OPEN.split())
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_address_with_a_zone_is_not_public() -> None:
    assert not is_public(ip_address("2606:4700::1111%eth0"))


@pytest.mark.parametrize(
    "addresses", [[PUBLIC, "127.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "169.254.169.254"]]
)
def test_one_private_address_among_public_ones_is_enough(addresses: list[str]) -> None:
    assert "public internet" in refusal("https://mixed.example/dog.jpg", table(mixed_example=addresses)).message


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "ip6-localhost", "127.0.0.1.", "127.0.0.1#@example.com:25"]
)
def test_the_real_resolver_gives_no_access_to_this_machine(host: str) -> None:
    message = refusal(f"http://{host}/", module.resolve).message
    assert "public internet" in message or "could not be resolved" in message


def test_an_unknown_name_is_refused() -> None:
    assert "could not be resolved" in refusal("http://nowhere.example/").message


def test_a_photo_by_name_is_fetched_from_the_address_that_was_checked(server: Server) -> None:
    calls = []

    async def rebinding(host: str, port: int) -> list[str]:
        calls.append((host, port))
        return ["127.0.0.1"] if len(calls) == 1 else ["10.0.0.1"]

    origin = f"photos.example:{server.port}"
    assert get(f"http://Photos.Example.:{server.port}/photo?a=1", rebinding, allowed_origins={origin}) == b"photo bytes"
    assert calls == [("photos.example", server.port)]
    path, headers = server.handler.seen[0]
    assert (path, headers["host"], headers["accept-encoding"]) == ("/photo?a=1", origin, "identity")


def test_an_allowed_origin_allows_no_other(server: Server) -> None:
    names = table(photos_example=["127.0.0.1"])
    assert (
        refusal(f"http://photos.example:{server.port}/photo", names, allowed_origins={"photos.example:1024"}).status
        == 400
    )
    assert refusal(f"http://127.0.0.1:{server.port}/photo", allowed_origins={f"localhost:{server.port}"}).status == 400
    assert not server.handler.seen


def test_no_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert local(server, "/photo") == b"photo bytes"


def local(server: Server, path: str, **options: Any) -> bytes:
    return get(f"http://127.0.0.1:{server.port}{path}", allowed_origins={f"127.0.0.1:{server.port}"}, **options)


def local_refusal(server: Server, path: str, **options: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        local(server, path, **options)
    return caught.value


def test_redirects_are_followed(server: Server) -> None:
    assert local(server, "/to//photo") == b"photo bytes"
    assert local(server, f"/to/http://127.0.0.1:{server.port}/photo") == b"photo bytes"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/iam/",
        "http://[::ffff:169.254.169.254]/",
        "//10.0.0.1/",
        "http://127.0.0.1:1/",
        "http://localhost/",
        "http://2130706433/",
        "http://user@127.0.0.1/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://inside.example/",
        "https://inside.example/",
    ],
)
def test_a_redirect_is_checked_like_the_first_hop(server: Server, location: str) -> None:
    names = table(inside_example=["10.0.0.1"], localhost=["127.0.0.1"])
    assert local_refusal(server, f"/to/{location}", resolve=names).status == 400
    assert len(server.handler.seen) == 1


def test_redirects_are_bounded(server: Server) -> None:
    assert "redirects more than 3 times" in local_refusal(server, "/loop").message
    assert len(server.handler.seen) == 4


def test_a_redirect_without_a_location_is_refused(server: Server) -> None:
    assert "status 302" in local_refusal(server, "/nowhere").message


@pytest.mark.parametrize("path", ["/large", "/chunked"])
def test_the_size_is_bounded(server: Server, path: str) -> None:
    assert len(local(server, path, limit_bytes=5000)) == 5000
    refused = local_refusal(server, path, limit_bytes=4999)
    assert (refused.status, refused.message) == (413, "The URL's answer is larger than 4,999 bytes.")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/status/404", "status 404"),
        ("/status/500", "status 500"),
        ("/status/204", "status 204"),
        ("/empty", "empty"),
        ("/short", "did not answer in HTTP"),
        ("/gzip", "compressed"),
        ("/headers", "did not answer in HTTP"),
    ],
)
def test_an_answer_that_is_not_a_photo_is_refused(server: Server, path: str, says: str) -> None:
    refused = local_refusal(server, path)
    assert refused.status == 400
    assert says in refused.message


@pytest.mark.parametrize("length", ["%B2", "%D9%A3", "1_000", "+5", "-5", "5.0"])
def test_a_length_has_only_the_digits_0_to_9(server: Server, length: str) -> None:
    assert "did not answer in HTTP" in local_refusal(server, f"/length/{length}").message


def test_the_total_time_is_bounded(server: Server) -> None:
    assert "within 0.3 s" in local_refusal(server, "/drip", timeout_s=0.3).message


def test_a_host_that_does_not_listen_is_named() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody else takes the port
        port = silent.getsockname()[1]
        refused = refusal(f"http://127.0.0.1:{port}/", allowed_origins={f"127.0.0.1:{port}"})
    assert "could not be reached" in refused.message


def test_the_next_address_is_tried(server: Server) -> None:
    names = table(two_example=["127.0.0.2", "127.0.0.1"])
    assert (
        get(f"http://two.example:{server.port}/photo", names, allowed_origins={f"two.example:{server.port}"})
        == b"photo bytes"
    )


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=photos.example"
    names = ["-addext", "subjectAltName=DNS:photos.example", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return key, cert


def test_tls_checks_the_name_although_the_connection_goes_to_an_address(
    server: Server, certificate: tuple[Path, Path]
) -> None:
    key, cert = certificate
    named: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.sni_callback = lambda _socket, name, _context: named.append(name or "")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trusting = ssl.create_default_context(cafile=str(cert))
    names = table(photos_example=["127.0.0.1"], other_example=["127.0.0.1"])
    port = server.port

    def at(host: str, tls: ssl.SSLContext | None) -> Callable[[], bytes]:
        return lambda: get(f"https://{host}:{port}/photo", names, tls=tls, allowed_origins={f"{host}:{port}"})

    assert at("photos.example", trusting)() == b"photo bytes"
    assert named == ["photos.example"]
    for call in (at("other.example", trusting), at("photos.example", None)):
        with pytest.raises(Refused, match="could not be reached"):
            call()


def test_parse_gives_the_parts_of_a_url() -> None:
    hop = parse("HTTPS://Example.COM.:8443?x=1#part")
    assert (hop.host, hop.port, hop.path, hop.authority) == (
        "example.com",
        8443,
        "/?x=1",
        "example.com:8443",
    )
    assert parse("http://[2606:4700::1111]/a").authority == "[2606:4700::1111]"


@pytest.mark.parametrize(
    "host", ["example.com", "xn--nxasmq6b.com", "a_b.s3.amazonaws.com", "1e100.net", "8.8.8.8", "::1"]
)
def test_a_plain_host_is_accepted(host: str) -> None:
    assert is_host(host)
