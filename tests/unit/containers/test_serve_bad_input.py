"""Every bad request gets its status and one sentence, and the server continues to work."""

import base64
import io
import json
import socket
import struct
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.unit.containers.serve_process import (
    BODY_LIMIT,
    CLASSES,
    GOOD,
    TIMEOUT_S,
    b64,
    best,
    encode,
    invoke,
    invoke_json,
    npy,
)


def bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


def animation() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in CLASSES]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return stream.getvalue()


def npy_header(shape: str, descr: str = "'|u1'") -> bytes:
    """A .npy file of 3 bytes with any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(3)


def npy_fields(length: int) -> bytes:
    """A .npy file of a record with a long name."""
    return npy_header("(1, 1, 3)", f"[('{'a' * length}', '|u1')]")


REFUSED = [
    ("empty", b"", "image/png", 400, "The body is empty."),
    ("empty json", b"", "application/json", 400, "The body is empty."),
    ("no image", b"hello", "image/png", 400, "not a JPEG, PNG or WebP"),
    ("gif", encode("red", "GIF"), "image/png", 400, "not a JPEG, PNG or WebP"),
    ("truncated", encode("red", "JPEG", (500, 500))[:2000], "image/jpeg", 400, "broken or truncated"),
    ("broken", GOOD[:50] + bytes(10) + GOOD[60:], "image/png", 400, "broken or truncated"),
    ("bomb", bomb(), "image/png", 400, "60000 x 60000 pixels"),
    ("animated", animation(), "image/webp", 400, "animated"),
    ("too large", bytes(BODY_LIMIT + 1), "image/png", 413, "larger than 6,291,456 bytes"),
    ("much too large", bytes(5 * BODY_LIMIT), "image/png", 413, "larger than 6,291,456 bytes"),
    ("as large as may be", bytes(BODY_LIMIT), "image/png", 400, "not a JPEG, PNG or WebP"),
    ("gif type", GOOD, "image/gif", 415, "'image/gif' is not supported"),
    ("form", b"a=1", "application/x-www-form-urlencoded", 415, "is not supported"),
    ("pickle", b"\x80\x04.", "application/x-pickle", 415, "is not supported"),
    ("not json", b"{", "application/json", 400, "not valid JSON"),
    ("not text", b"\xff\xfe{}", "application/json", 400, "not valid JSON"),
    ("deep json", b"[" * 200_000, "application/json", 400, "not valid JSON"),
    ("json list", b"[]", "application/json", 400, "must be exactly one of"),
    ("json null", b"null", "application/json", 400, "must be exactly one of"),
    ("json other", b'{"inputs": 1}', "application/json", 400, "must be exactly one of"),
    ("json both", b'{"url": "http://a.com", "s3": "s3://b/c"}', "application/json", 400, "must be exactly one of"),
    ("url number", b'{"url": 5}', "application/json", 400, "must be exactly one of"),
    ("url local", b'{"url": "http://localhost/"}', "application/json", 400, "not on the public internet"),
    ("url file", b'{"url": "file:///etc/passwd"}', "application/json", 400, "must begin with http"),
    ("no instance", b'{"instances": []}', "application/json", 400, "holds no image"),
    ("instance", b'{"instances": [1]}', "application/json", 400, "Instance 0 must be"),
    ("base64", b'{"instances": [{"b64": "*"}]}', "application/json", 400, "Instance 0 is not valid base64"),
    ("base64 empty", b'{"instances": [{"b64": ""}]}', "application/json", 400, "The image is empty"),
    ("many", json.dumps(b64(*["red"] * 65)).encode(), "application/json", 413, "65 images; at most 64"),
    ("s3 form", b'{"s3": "bucket/key"}', "application/json", 400, "s3://bucket/key"),
    ("s3 missing", b'{"s3": "s3://bucket/none"}', "application/json", 400, "NoSuchKey"),
    ("s3 empty", b'{"s3": "s3://bucket/empty"}', "application/json", 400, "is empty"),
    ("s3 large", b'{"s3": "s3://bucket/large"}', "application/json", 413, "larger than 6,291,456 bytes"),
    ("npy", b"\x93NUMPY", "application/x-npy", 400, "not a numpy .npy file"),
    ("npy float64", npy(np.zeros((3, 16, 16))), "application/x-npy", 400, "must be uint8"),
    ("npy objects", npy(np.array([None] * 3)), "application/x-npy", 400, "must be uint8"),
    ("npy grey", npy(np.zeros((16, 16), np.uint8)), "application/x-npy", 400, "must be uint8"),
    ("npy size", npy(np.zeros((3, 8, 8), np.float32)), "application/x-npy", 400, "must have the shape"),
    ("npy nan", npy(np.full((3, 16, 16), np.nan, np.float32)), "application/x-npy", 400, "not finite"),
    ("npy none", npy(np.zeros((0, 8, 8, 3), np.uint8)), "application/x-npy", 400, "holds no image"),
    ("npy no pixels", npy(np.zeros((1, 0, 8, 3), np.uint8)), "application/x-npy", 400, "without pixels"),
    ("npy many", npy(np.zeros((65, 1, 1, 3), np.uint8)), "application/x-npy", 413, "at most 64"),
    ("npy overflow", npy(np.full((3, 16, 16), 3e38, np.float32)), "application/x-npy", 400, "values are too large"),
    ("npy booleans", npy_header("(True, True, 3)"), "application/x-npy", 400, "must be whole numbers"),
    ("npy negative", npy_header("(-1, -1, 3)"), "application/x-npy", 400, "must be whole numbers"),
    ("npy fractions", npy_header("(1.0, 1, 3)"), "application/x-npy", 400, "not a numpy .npy file"),
    ("npy huge", npy_header("(1, 1, 0x" + "f" * 5000 + ", 3)"), "application/x-npy", 400, "does not have the size"),
    ("npy huge none", npy_header("(0, 0x" + "f" * 5000 + ", 1, 3)"), "application/x-npy", 400, "holds no image"),
    ("npy huge rank", npy_header("(0x" + "f" * 5000 + ",)"), "application/x-npy", 400, "with 1 dimensions"),
    ("npy open bracket", npy_header("((("), "application/x-npy", 400, "not a numpy .npy file"),
    ("npy names", npy_fields(2000), "application/x-npy", 400, "must be uint8"),
    ("data", b'{"url": "data:image/png;base64"}', "application/json", 400, "The url is not valid base64"),
    ("data base64", b'{"url": "data:image/png;base64,*"}', "application/json", 400, "The url is not valid base64"),
    ("data empty", b'{"url": "data:,"}', "application/json", 400, "The image is empty"),
    ("s3 gzip", b'{"s3": "s3://bucket/coded/gzip"}', "application/json", 400, "Content-Encoding is 'gzip'"),
    ("npy cut", npy(np.zeros((8, 8, 3), np.uint8))[:-1], "application/x-npy", 400, "does not have the size"),
]


@pytest.mark.parametrize(
    ("body", "media", "status", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_bad_input_is_refused_and_the_server_continues(
    client: httpx.Client, body: bytes, media: str, status: int, says: str
) -> None:
    response = invoke(client, body, media)
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert says in response.json()["error"]
    assert response.json()["error"].endswith(".")
    assert client.get("/ping").status_code == 200
    assert best(invoke(client, GOOD, "image/png")) == ["red"]


def test_a_bad_instance_is_named(client: httpx.Client) -> None:
    instances = b64(*["red"] * 9)
    instances["instances"][6]["b64"] = base64.b64encode(b"nothing").decode()
    assert invoke_json(client, instances).json()["error"].startswith("Instance 6: The data is not")


def test_an_oversized_npy_header_allocates_nothing(client: httpx.Client) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }\n"
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)
    assert "does not have the size" in invoke(client, body, "application/x-npy").json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "image/png"}, 406),
        ({"accept": "application/json;q=0"}, 406),
        ({"accept": "application/json;top-k=0"}, 400),
        ({"x_amzn_sagemaker_custom_attributes": "verbose=maybe"}, 400),
        ({"content_encoding": "gzip"}, 415),
    ],
)
def test_unsatisfiable_headers_are_refused(client: httpx.Client, headers: dict[str, str], status: int) -> None:
    response = invoke(client, GOOD, "image/png", **headers)
    assert (response.status_code, list(response.json())) == (status, ["error"])


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/invocations", {"accept": "x" * 60_000}),
        ("/invocations", {"accept": "application/json;top-k=" + "x" * 60_000}),
        ("/invocations", {"accept": "application/json;verbose=" + "x" * 60_000}),
        ("/invocations", {"content-type": "x" * 60_000}),
        ("/invocations", {"content-encoding": "x" * 50_000 + ",gzip"}),
        ("/invocations", {"x-amzn-sagemaker-custom-attributes": "top-k=" + "x" * 60_000}),
        ("/" + "x" * 60_000, {}),
    ],
)
def test_long_texts_of_the_caller_are_not_echoed(client: httpx.Client, path: str, headers: dict[str, str]) -> None:
    response = client.post(path, content=GOOD, headers={"content-type": "image/png"} | headers)
    assert response.status_code in (400, 404, 406, 415)
    assert len(response.content) < 400


def test_a_long_description_of_an_array_is_not_echoed(client: httpx.Client) -> None:
    assert len(invoke(client, npy_fields(5000), "application/x-npy").content) < 400


def test_values_that_overflow_are_the_instance_s_fault(client: httpx.Client) -> None:
    arrays = np.zeros((9, 3, 16, 16), np.float32)
    arrays[7] = 3e38
    response = invoke(client, npy(arrays), "application/x-npy")
    assert (response.status_code, response.json()["error"][:32]) == (400, "Instance 7: The array's values a")


def test_a_missing_content_type_is_refused(client: httpx.Client) -> None:
    response = client.post("/invocations", content=GOOD)
    assert (response.status_code, response.json()["error"][:23]) == (415, "Content-Type is missing")


def test_other_paths_and_methods_are_refused(client: httpx.Client) -> None:
    assert client.get("/").status_code == 404
    assert client.get("/docs").status_code == 404
    assert "is not served" in client.get("/openapi.json").json()["error"]
    assert client.get("/invocations").status_code == 405
    assert client.post("/ping").status_code == 405


def test_a_body_without_a_length_is_bounded_too(client: httpx.Client) -> None:
    response = client.post(
        "/invocations", content=(bytes(65_536) for _ in range(120)), headers={"content-type": "image/png"}
    )
    assert response.status_code == 413
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize("head", [b"GET /ping HTTP/1.1\r\nHost: x\r\nA: ", b"GET /ping?"], ids=["headers", "url"])
def test_endless_headers_and_urls_are_bounded(client: httpx.Client, head: bytes) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=TIMEOUT_S) as connection:
        connection.sendall(head)
        try:
            for _ in range(64):  # 4 MiB; the server reads only a part
                connection.sendall(b"a" * 65_536)
            answer = connection.recv(1000)
        except ConnectionError:  # the server closed the connection during the send
            answer = b""
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 408")  # 408 when this thread was stopped for 10 s
    assert client.get("/ping").status_code == 200
    assert client.get("/ping", headers={"a": "a" * 60_000}).status_code == 200
