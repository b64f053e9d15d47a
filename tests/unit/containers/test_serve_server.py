"""Good requests of every kind, and their answers."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from ml.preprocess import preprocess
from tests.unit.containers.serve_process import (
    CLASSES,
    PREPROCESSING,
    b64,
    best,
    encode,
    invoke,
    invoke_json,
    npy,
    wait_until,
)
from tests.unit.ml import damaged


def cmyk() -> bytes:
    stream = io.BytesIO()
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(("form", "media"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
@pytest.mark.parametrize("colour", ["red", "blue"])
def test_images_of_each_format(client: httpx.Client, form: str, media: str, colour: str) -> None:
    response = invoke(client, encode(colour, form), media)
    assert best(response) == [colour]
    assert response.headers["content-type"] == "application/json"


def test_the_answer_holds_the_raw_logits_of_the_model(client: httpx.Client) -> None:
    rows = invoke(client, encode("red"), "image/png").json()
    expected = preprocess(encode("red"), PREPROCESSING).mean(axis=(1, 2)) * 10
    assert np.allclose(rows, [expected], atol=1e-4)


def test_the_media_type_may_have_parameters_and_another_case(client: httpx.Client) -> None:
    assert best(invoke(client, encode("red"), "Image/PNG; charset=binary")) == ["red"]


def test_a_cmyk_image(client: httpx.Client) -> None:
    assert best(invoke(client, cmyk(), "image/jpeg")) == ["red"]


def test_an_image_of_16_bits(client: httpx.Client) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((9, 9), 0xFFFF, np.uint16)).save(stream, "PNG")
    assert np.allclose(invoke(client, stream.getvalue(), "image/png").json(), [[10, 10, 10]], atol=1e-3)


def test_instances_keep_their_order(client: httpx.Client) -> None:
    colours = ("red", "green", "blue", "blue", "red") * 5
    assert best(invoke_json(client, b64(*colours))) == ["green" if c == "green" else c for c in colours]


def test_base64_in_every_usual_form(client: httpx.Client) -> None:
    content = encode("green") + b"\xfb\xef\xff\xfe"  # so that the base64 has +, / and padding
    plain = base64.b64encode(content).decode()
    assert plain.endswith("++///g==")
    for text in (
        plain + "\n",
        "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76)),
        "\r\n".join(plain[i : i + 64] for i in range(0, len(plain), 64)) + "\r\n",
        " \t" + plain,
        plain.translate(str.maketrans("+/", "-_")),
        plain.rstrip("="),
        plain.translate(str.maketrans("+/", "-_")).rstrip("="),
        f"data:image/png;base64,{plain}",
        f"DATA:;charset=utf-8;BASE64,{plain}\n",
        f"data:image/png;base64,{quote(plain, safe='')}",
        f"data:image/png,{quote(content)}",
    ):
        assert best(invoke_json(client, {"instances": [{"b64": text}]})) == ["green"], text[:30]
        if text.startswith(("data:", "DATA:")):
            assert best(invoke_json(client, {"url": text})) == ["green"]


@pytest.mark.parametrize("coding", ["utf-8", "UTF-8", "base64", "aws-chunked", "binary", "identity", "none"])
def test_a_content_encoding_that_is_none_changes_nothing(client: httpx.Client, origin: str, coding: str) -> None:
    assert best(invoke_json(client, {"url": f"http://{origin}/coded/{coding}"})) == ["red"]
    assert best(invoke_json(client, {"s3": f"s3://bucket/coded/{coding}"})) == ["red"]
    assert best(invoke(client, encode("red"), "image/png", content_encoding=coding)) == ["red"]


def test_a_presigned_address_of_8_kilobytes(client: httpx.Client, origin: str) -> None:
    url = f"http://{origin}/red.png?X-Amz-Security-Token="
    assert best(invoke_json(client, {"url": url + "x" * (8192 - len(url))})) == ["red"]
    assert "at most 8192" in invoke_json(client, {"url": url + "x" * 8192}).json()["error"]


def test_a_photo_that_is_cut_short_or_has_wrong_metadata(client: httpx.Client) -> None:
    image = Image.new("RGB", (400, 300), "red")
    image.paste("blue", (0, 0, 400, 150))
    jpeg = damaged.encode(image, "JPEG")
    assert best(invoke(client, jpeg[: len(jpeg) * 9 // 10], "image/jpeg")) in (["red"], ["blue"])
    for data in (
        damaged.with_segment(encode("red", "JPEG"), damaged.segment(0xED, b"Photoshop 3.0\0" + b"8BIM")),
        damaged.with_segment(encode("red", "JPEG"), damaged.segment(0xEE, b"Adobe")),
        damaged.with_chunk(encode("red"), damaged.chunk(b"pHYs", b"\0")),
        damaged.with_chunk(encode("red"), damaged.chunk(b"tEXt", b"Comment\0" + b"x" * (3 << 20))),
    ):
        assert best(invoke(client, data, "image/png")) == ["red"]


def test_images_from_a_url_and_from_s3(client: httpx.Client, origin: str) -> None:
    assert best(invoke_json(client, {"url": f"http://{origin}/red.png"})) == ["red"]
    assert best(invoke_json(client, {"s3": "s3://bucket/red.png"})) == ["red"]


def test_arrays_of_pixels_and_of_model_inputs(client: httpx.Client) -> None:
    pixels = np.zeros((2, 20, 30, 3), np.uint8)
    pixels[0, ..., 0] = pixels[1, ..., 2] = 255
    ready = np.stack([preprocess(encode(colour), PREPROCESSING) for colour in ("green", "blue")])
    assert best(invoke(client, npy(pixels), "application/x-npy")) == ["red", "blue"]
    assert best(invoke(client, npy(pixels[1]), "application/x-npy")) == ["blue"]
    assert best(invoke(client, npy(np.asfortranarray(pixels)), "application/x-npy")) == ["red", "blue"]
    assert best(invoke(client, npy(ready), "application/x-npy")) == ["green", "blue"]
    assert best(invoke(client, npy(ready[0]), "application/x-npy")) == ["green"]


def test_answers_in_the_form_that_was_asked_for(client: httpx.Client) -> None:
    lines = invoke_json(client, b64("red", "blue"), accept="application/jsonlines")
    assert lines.headers["content-type"] == "application/jsonlines"
    assert [int(np.argmax(json.loads(line))) for line in lines.text.splitlines()] == [0, 2]
    rows = invoke(client, encode("red"), "image/png", accept="text/csv").text.strip().split(",")
    assert np.argmax([float(cell) for cell in rows]) == 0
    table = invoke(client, encode("red"), "image/png", accept="text/csv; charset=utf-8")
    assert table.headers["content-type"] == "text/csv"  # as SageMaker's SDK compares it
    labels = invoke(client, encode("red"), "image/png", accept="application/json;top-k=1").json()
    assert labels == [[{"label": "red", "probability": 1.0}]]
    same = invoke(client, encode("red"), "image/png", x_amzn_sagemaker_custom_attributes="trace-1,top-k=1")
    assert same.json() == labels


def test_pings_are_answered_while_every_thread_decodes(client: httpx.Client) -> None:
    large = encode("red", "JPEG", (7000, 7000))
    payload = {"instances": [{"b64": base64.b64encode(large).decode()}] * 6}

    def pings_while_busy() -> int:
        pings = 0
        with ThreadPoolExecutor(4) as pool:
            busy = [pool.submit(invoke_json, client, payload) for _ in range(4)]
            while not all(call.done() for call in busy):
                assert client.get("/ping").status_code == 200
                pings += 1
        assert all(best(call.result()) == ["red"] * 6 for call in busy)
        return pings

    wait_until(lambda: pings_while_busy() > 10)  # fewer when the machine stops this thread for the whole time


def test_many_requests_at_once(client: httpx.Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(invoke, client, encode(CLASSES[i % 3]), "image/png") for i in range(200)]
    assert all(best(call.result()) == [CLASSES[i % 3]] for i, call in enumerate(calls))
