"""The addresses that the stage makes are those that the image's JupyterLab reads."""

from urllib.parse import parse_qs, urlsplit

from containers.notebook.addresses import session_s
from stagemaker.notebooks.addresses import VALID_S, authorized_url

NOW_S = 1_800_000_000.5


def token(key: str = "key", session: int = 1800) -> str:
    query = parse_qs(urlsplit(authorized_url(("127.0.0.1", 40_000), key, NOW_S, session)).query)
    return query["authToken"][0]


def test_an_address_is_on_loopback_and_opens_jupyterlab() -> None:
    assert authorized_url(("127.0.0.1", 40_000), "key", NOW_S, 1800).startswith("http://127.0.0.1:40000/lab?authToken=")


def test_a_token_opens_a_session_for_five_minutes() -> None:
    assert session_s("key", token(), NOW_S) == 1800
    assert session_s("key", token(), NOW_S + VALID_S - 1) == 1800
    assert session_s("key", token(), NOW_S + VALID_S) is None


def test_a_token_of_another_key_opens_nothing() -> None:
    assert session_s("key", token("other"), NOW_S) is None


def test_a_token_that_was_changed_opens_nothing() -> None:
    end, session, signature = token().split(".")
    for changed in (
        f"{int(end) + 1}.{session}.{signature}",
        f"{end}.43200.{signature}",
        f"{end}.{session}",
        "",
        "a.b.c",
    ):
        assert session_s("key", changed, NOW_S) is None
