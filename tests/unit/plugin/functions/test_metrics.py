"""The data points of an invocation."""

from stagemaker.functions.metrics import Datum, of_concurrency, of_invocation, of_provisioned, of_throttle

FUNCTION = (("FunctionName", "f"),)
ALIAS = (*FUNCTION, ("Resource", "f:live"))


def values(data: list[Datum], dimensions: tuple[tuple[str, str], ...]) -> dict[str, float]:
    return {each.name: each.value for each in data if each.dimensions == dimensions}


def test_an_invocation_of_an_alias_counts_for_the_function_and_for_the_alias() -> None:
    data = of_invocation("f", "live", is_error=True, duration_s=0.25)
    expected = {"Invocations": 1, "Errors": 1, "Throttles": 0, "Duration": 250}
    assert values(data, FUNCTION) == values(data, ALIAS) == expected
    assert {each.unit for each in data} == {"Count", "Milliseconds"}


def test_a_call_without_a_qualifier_counts_for_the_function_only() -> None:
    assert {each.dimensions for each in of_invocation("f", "", is_error=False, duration_s=0)} == {FUNCTION}
    assert [each.dimensions for each in of_throttle("f", "")] == [FUNCTION]


def test_concurrency_is_the_functions() -> None:
    assert of_concurrency("f", 7) == [Datum("ConcurrentExecutions", 7, "Count", FUNCTION)]


def test_utilization_is_a_share_of_what_is_allocated() -> None:
    data = of_provisioned("f", "live", running=3, allocated=4, is_provisioned=True)
    assert values(data, ALIAS) == {
        "ProvisionedConcurrencyInvocations": 1,
        "ProvisionedConcurrentExecutions": 3,
        "ProvisionedConcurrencyUtilization": 0.75,
    }


def test_an_invocation_that_found_no_warm_environment_is_a_spillover() -> None:
    data = of_provisioned("f", "live", running=4, allocated=4, is_provisioned=False)
    assert values(data, ALIAS)["ProvisionedConcurrencySpilloverInvocations"] == 1
    assert values(data, ALIAS)["ProvisionedConcurrencyUtilization"] == 1
    early = of_provisioned("f", "live", running=0, allocated=0, is_provisioned=False)
    assert values(early, ALIAS)["ProvisionedConcurrencyUtilization"] == 1  # while they start, nothing is left over
