"""Which invocations may begin."""

import pytest

from stagemaker.functions.concurrency import ACCOUNT_LIMIT, FUNCTION_LIMIT, Concurrency, Limits, Throttled

F, OTHER, V1, V2 = "function:f", "function:other", "function:f:1", "function:f:2"


def limits(
    reserved: int | None = None,
    *,
    provisioned: int = 0,
    ready: int = 0,
    unreserved: int = 1000,
    sharing: tuple[str, ...] = (F, OTHER),
) -> Limits:
    return Limits(reserved, provisioned, ready, unreserved, sharing)


def refused(concurrency: Concurrency, function: str, version: str, given: Limits) -> str:
    with pytest.raises(Throttled) as refusal:
        concurrency.begin(function, version, given)
    return refusal.value.reason


def test_reserved_concurrency_counts_the_calls_of_all_versions() -> None:
    concurrency = Concurrency()
    first = concurrency.begin(F, V1, limits(2))
    second = concurrency.begin(F, V2, limits(2))
    assert (first.running, second.running) == (1, 2)
    assert refused(concurrency, F, V1, limits(2)) == FUNCTION_LIMIT
    concurrency.end(first)
    assert concurrency.begin(F, V1, limits(2)).running == 2


def test_reserved_concurrency_of_0_refuses_the_first_call() -> None:
    assert refused(Concurrency(), F, V1, limits(0)) == FUNCTION_LIMIT


def test_a_provisioned_environment_comes_first_and_the_next_call_runs_on_demand() -> None:
    concurrency = Concurrency()
    first, second, third = (concurrency.begin(F, V1, limits(ready=2)) for _ in range(3))
    assert [each.is_provisioned for each in (first, second, third)] == [True, True, False]
    assert [each.running_provisioned for each in (first, second, third)] == [1, 2, 2]
    assert third.running == 3
    concurrency.end(first)
    assert concurrency.begin(F, V1, limits(ready=2)).is_provisioned


def test_what_is_provisioned_is_taken_from_what_is_reserved() -> None:
    concurrency = Concurrency()
    both = limits(2, provisioned=2, ready=2)
    assert refused(concurrency, F, "function:f:$LATEST", limits(2, provisioned=2)) == FUNCTION_LIMIT
    concurrency.begin(F, V1, both)
    concurrency.begin(F, V1, both)
    assert refused(concurrency, F, V1, both) == FUNCTION_LIMIT


def test_functions_without_reserved_concurrency_share_what_the_account_has_left() -> None:
    concurrency = Concurrency()
    concurrency.begin(F, V1, limits(unreserved=2))
    other = concurrency.begin(OTHER, "function:other:1", limits(unreserved=2))
    assert refused(concurrency, F, V1, limits(unreserved=2)) == ACCOUNT_LIMIT
    assert not concurrency.begin("function:third", "function:third:1", limits(1)).is_provisioned  # has its own
    concurrency.end(other)
    assert concurrency.begin(F, V1, limits(unreserved=2)).running == 2


def test_a_refused_call_is_not_counted() -> None:
    concurrency = Concurrency()
    for _ in range(3):
        assert refused(concurrency, F, V1, limits(0)) == FUNCTION_LIMIT
    assert concurrency.begin(F, V1, limits(1)).running == 1
