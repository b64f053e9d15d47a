"""Passwords of the registry."""

import pytest

from stagemaker.registry.tokens import LIFETIME_S, TokenRefused, Tokens
from tests.unit.plugin.fakes import SCOPE


def test_a_token_opens_its_own_registry_for_twelve_hours() -> None:
    now = [1000.0]
    tokens = Tokens(b"secret", lambda: now[0])
    password, expires = tokens.issue(SCOPE, "AKIA1")
    assert expires == 1000.0 + 12 * 3600
    now[0] += LIFETIME_S - 1
    assert tokens.read(password) == (SCOPE, "AKIA1")
    now[0] += 1
    with pytest.raises(TokenRefused) as caught:
        tokens.read(password)
    assert caught.value.expired


def test_a_token_of_another_run_or_a_changed_one_is_refused() -> None:
    password, _ = Tokens(b"secret", lambda: 0.0).issue(SCOPE, "AKIA1")
    tokens = Tokens(b"other", lambda: 0.0)
    for wrong in (password, password[:-4], password.replace("A", "B"), "", "x", "\u00e9", "AAAA"):
        with pytest.raises(TokenRefused) as caught:
            tokens.read(wrong)
        assert not caught.value.expired
