"""A code is deleted after its last user."""

from stagemaker.functions.code_users import CodeUsers


def test_what_nobody_uses_is_deleted_at_once() -> None:
    users, deleted = CodeUsers(), list[str]()
    users.when_unused("a", lambda: deleted.append("a"))
    assert deleted == ["a"]


def test_what_is_used_is_deleted_after_the_last_user() -> None:
    users, deleted = CodeUsers(), list[str]()
    with users.use("a"):
        with users.use("a"):
            users.when_unused("a", lambda: deleted.append("a"))
            users.when_unused("b", lambda: deleted.append("b"))
        assert deleted == ["b"]
    assert deleted == ["b", "a"]
    with users.use("a"):
        pass
    assert deleted == ["b", "a"]  # once


def test_a_user_that_fails_is_none_any_more() -> None:
    users, deleted = CodeUsers(), list[str]()
    try:
        with users.use("a"):
            users.when_unused("a", lambda: deleted.append("a"))
            raise RuntimeError
    except RuntimeError:
        pass
    assert deleted == ["a"]
