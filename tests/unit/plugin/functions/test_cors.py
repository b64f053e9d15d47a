"""Which pages may call a function URL."""

from stagemaker.functions.cors import allows, answer_headers, preflight_headers

PAGE = "http://localhost:3000"
CORS = {
    "AllowOrigins": [PAGE, "https://example.com"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["content-type", "x-photo"],
    "ExposeHeaders": ["x-model"],
    "MaxAge": 600,
    "AllowCredentials": True,
}


def test_an_origin_is_allowed_by_its_name_or_by_a_star() -> None:
    assert allows([PAGE], PAGE)
    assert allows(["*"], PAGE)
    assert not allows([PAGE], "http://localhost:3001")
    assert not allows([], PAGE)


def test_a_preflight_is_told_all_that_is_configured() -> None:
    assert preflight_headers(CORS, PAGE) == {
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "GET,POST",
        "Access-Control-Allow-Headers": "content-type,x-photo",
        "Access-Control-Expose-Headers": "x-model",
        "Access-Control-Max-Age": "600",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def test_an_answer_is_told_what_concerns_it() -> None:
    headers = answer_headers(CORS, PAGE)
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Access-Control-Expose-Headers"] == "x-model"
    assert not {"Access-Control-Allow-Methods", "Access-Control-Max-Age"} & headers.keys()


def test_another_origin_is_told_nothing() -> None:
    assert answer_headers(CORS, "http://evil.example") == {}
    assert preflight_headers(CORS, "http://evil.example") == {}
    assert answer_headers(CORS, "") == {}  # curl


def test_what_is_not_configured_is_left_out() -> None:
    expected = {"Access-Control-Allow-Origin": "*", "Vary": "Origin"}
    assert preflight_headers({"AllowOrigins": ["*"], "AllowCredentials": False}, PAGE) == expected
    assert preflight_headers({"AllowOrigins": ["*"], "MaxAge": 0}, PAGE)["Access-Control-Max-Age"] == "0"
    assert preflight_headers({"AllowMethods": ["GET"]}, PAGE) == {}
