"""Matching with patterns that nobody has checked."""

import threading
import time

import pytest
import regex  # type: ignore[import-untyped]

from stagemaker.core.patterns import TooSlow, matches, within

EVIL = regex.compile(r"(a|aa)+$")


def test_a_match_is_what_the_pattern_says() -> None:
    assert within(regex.compile(r"a=(\d+)").search, "x a=12 y", 0.1).group(1) == "12"
    assert within(regex.compile("b").search, "a", 0.1) is None
    assert matches(regex.compile("[a-z]+"), "abc", 0.1)
    assert not matches(regex.compile("[a-z]+"), "abc1", 0.1)


def test_what_takes_too_long_is_given_up() -> None:
    began_s = time.monotonic()
    with pytest.raises(TooSlow):
        within(EVIL.fullmatch, "a" * 40 + "b", 0.05)
    assert not matches(EVIL, "a" * 40 + "b", 0.05)
    assert time.monotonic() - began_s < 20


def test_busy_threads_make_no_match_too_slow() -> None:
    """The package counts their processor time as the match's own."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    try:
        pattern = regex.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
        assert all(matches(pattern, "bench", 0.5) for _ in range(200))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
