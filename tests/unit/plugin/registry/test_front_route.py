"""Requests to the front, and what is not one."""

import pytest

from stagemaker.registry.front_route import RequestRefused, Route, route

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/v2/", Route("base")),
        ("HEAD", "/v2", Route("base")),
        ("GET", "/v2/a/b/tags/list", Route("tags", "a/b")),
        ("PUT", "/v2/a/manifests/v1.0", Route("manifest", "a", "v1.0")),
        ("GET", f"/v2/a/b/c/manifests/{DIGEST}", Route("manifest", "a/b/c", DIGEST)),
        ("HEAD", f"/v2/a/blobs/{DIGEST}", Route("blob", "a", DIGEST)),
        ("GET", "/v2/a--b/c__d.e/tags/list", Route("tags", "a--b/c__d.e")),
        ("POST", "/v2/a/blobs/uploads/", Route("uploads", "a")),
        ("POST", f"/v2/a/blobs/uploads/?mount={DIGEST}&from=b%2Fc&x=1",
         Route("uploads", "a", query={"mount": DIGEST, "from": "b/c"})),
        ("PATCH", "/v2/a/blobs/uploads/0-f?_state=q%3D%3D", Route("upload", "a", "0-f", {"_state": "q=="})),
        ("PUT", f"/v2/a/blobs/uploads/0f?digest={DIGEST}", Route("upload", "a", "0f", {"digest": DIGEST})),
    ],
)  # fmt: skip
def test_requests(method: str, target: str, expected: Route) -> None:
    assert route(method, target) == expected


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("GET", "/", "UNSUPPORTED"),
        ("GET", "/v2/_catalog", "UNSUPPORTED"),
        ("GET", "/v1/a/tags/list", "UNSUPPORTED"),
        ("GET", "/v2/../../111111111111/eu-west-1/a/tags/list", "NAME_INVALID"),
        ("GET", "/v2/a/../b/tags/list", "NAME_INVALID"),
        ("GET", "/v2/a%2F..%2Fb/tags/list", "NAME_INVALID"),
        ("GET", "/v2//a/tags/list", "NAME_INVALID"),
        ("GET", "/v2/A/tags/list", "NAME_INVALID"),
        ("GET", "/v2/a___b/tags/list", "NAME_INVALID"),
        ("GET", "/v2/" + "a" * 257 + "/tags/list", "NAME_INVALID"),
        ("POST", f"/v2/a/blobs/uploads/?mount={DIGEST}&from=../b", "NAME_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?mount=../x&from=b", "DIGEST_INVALID"),
        ("GET", "/v2/a/blobs/..", "DIGEST_INVALID"),
        ("GET", "/v2/a/blobs/sha512:00", "DIGEST_INVALID"),
        ("PATCH", "/v2/a/blobs/uploads/..", "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "/v2/a/manifests/..%2f", "TAG_INVALID"),
        ("GET", "/v2/a/manifests/-x", "TAG_INVALID"),
        ("DELETE", "/v2/a/manifests/v1", "UNSUPPORTED"),
        ("DELETE", f"/v2/a/blobs/{DIGEST}", "UNSUPPORTED"),
    ],
)
def test_nothing_else_is_let_through(method: str, target: str, code: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        route(method, target)
    assert caught.value.code == code
