"""Versions of functions that are gone, and no more of them than memory may hold."""

from stagemaker.functions.retired_versions import RetiredVersions


def test_a_version_is_retired_once_it_was_added() -> None:
    retired = RetiredVersions()
    assert "a" not in retired
    retired.add("a")
    assert "a" in retired


def test_the_oldest_is_forgotten() -> None:
    retired = RetiredVersions(most=2)
    for version in ("a", "b", "b", "c"):
        retired.add(version)
    assert [version in retired for version in ("a", "b", "c")] == [False, True, True]
