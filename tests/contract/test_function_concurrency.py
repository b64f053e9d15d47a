"""Versions, aliases, reserved and provisioned concurrency of functions: what really runs, and what waits warm."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.function_stack import FunctionStack, until
from tests.contract.held_functions import BUCKET, Held, create, initialised, provision, publish
from tests.contract.localstack_process import running_localstack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionStack]:
    with running_localstack(tmp_path_factory.mktemp("concurrency")) as localstack:
        localstack.client("s3").create_bucket(Bucket=BUCKET)
        yield FunctionStack(localstack)


def refused(stack: FunctionStack, operation: str, **arguments: Any) -> tuple[int, str, str]:
    """The status, the code and the message of a refusal."""
    functions = stack.localstack.client("lambda", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError) as failure:
        getattr(functions, operation)(**arguments)
    answer = failure.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_reserved_concurrency_is_how_many_run_at_once(stack: FunctionStack) -> None:
    create(stack, "reserved")
    stack.functions.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=3)
    held = Held(stack, "reserved", 5)
    held.wait(running=3, refused=2)
    answer = held.errors()[0].response
    assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert (answer["Reason"], answer["Type"]) == ("ReservedFunctionConcurrentInvocationLimitExceeded", "User")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert len(held.release()) == 3
    assert "pid" in stack.invoke("reserved", {})[0]


def test_reserved_concurrency_of_0_refuses_every_call(stack: FunctionStack) -> None:
    create(stack, "off")
    stack.functions.put_function_concurrency(FunctionName="off", ReservedConcurrentExecutions=0)
    for qualifier in ("$LATEST", "1", "live"):
        found = refused(stack, "invoke", FunctionName="off", Qualifier=qualifier)
        assert found[:2] == (429, "TooManyRequestsException")
    stack.functions.delete_function_concurrency(FunctionName="off")
    assert stack.invoke("off", {})[0]["version"] == "$LATEST"


def test_100_must_stay_unreserved(stack: FunctionStack) -> None:
    create(stack, "greedy")
    reserve = stack.functions.put_function_concurrency
    status, code, message = refused(
        stack, "put_function_concurrency", FunctionName="greedy", ReservedConcurrentExecutions=901
    )
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message.endswith("decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
    assert reserve(FunctionName="greedy", ReservedConcurrentExecutions=100)["ReservedConcurrentExecutions"] == 100
    assert stack.functions.get_function_concurrency(FunctionName="greedy")["ReservedConcurrentExecutions"] == 100
    stack.functions.delete_function(FunctionName="greedy")


def test_provisioned_environments_are_initialised_before_the_first_call_and_more_calls_run_on_demand(
    stack: FunctionStack,
) -> None:
    create(stack, "warm")
    found = provision(stack, "warm", 2)
    counts = [found[f"{name}ProvisionedConcurrentExecutions"] for name in ("Requested", "Allocated", "Available")]
    assert (found["Status"], counts) == ("READY", [2, 2, 2])
    assert initialised(stack, "warm", "1") == 2
    held = Held(stack, "warm", 3, Qualifier="live")
    held.wait(running=3)
    answers = held.release()
    assert sorted(answer["kind"] for answer in answers) == ["on-demand"] + ["provisioned-concurrency"] * 2
    assert {answer["version"] for answer in answers} == {"1"}
    assert {answer["arn"].rpartition(":")[2] for answer in answers} == {"live"}
    assert initialised(stack, "warm", "1") == 2
    assert stack.invoke("warm", {})[0]["kind"] == "on-demand"  # $LATEST


def test_another_number_ends_no_call_and_makes_only_what_is_missing(stack: FunctionStack) -> None:
    create(stack, "scaled")
    provision(stack, "scaled", 2)
    held = Held(stack, "scaled", 1, Qualifier="live")
    held.wait(running=1)
    assert provision(stack, "scaled", 3)["AvailableProvisionedConcurrentExecutions"] == 3
    assert initialised(stack, "scaled", "1") == 3
    assert provision(stack, "scaled", 1)["AvailableProvisionedConcurrentExecutions"] == 1
    (answer,) = held.release()
    assert answer["kind"] == "provisioned-concurrency"
    assert stack.invoke("scaled", {}, Qualifier="live")[0]["pid"] == answer["pid"]


def test_what_is_deleted_runs_no_more(stack: FunctionStack) -> None:
    create(stack, "ended")
    place = {"FunctionName": "ended", "Qualifier": "live"}
    provision(stack, "ended", 1)
    first, _ = stack.invoke("ended", {}, Qualifier="live")
    stack.functions.delete_provisioned_concurrency_config(**place)
    until(lambda: not stack.runs(first))
    found = refused(stack, "get_provisioned_concurrency_config", **place)
    assert found[:2] == (404, "ProvisionedConcurrencyConfigNotFoundException")
    assert stack.invoke("ended", {}, Qualifier="live")[0]["kind"] == "on-demand"
    provision(stack, "ended", 1)
    second, _ = stack.invoke("ended", {}, Qualifier="live")
    assert second["kind"] == "provisioned-concurrency"
    stack.functions.delete_alias(FunctionName="ended", Name="live")
    until(lambda: not stack.runs(second))


def test_an_alias_takes_its_provisioned_environments_to_another_version(stack: FunctionStack) -> None:
    create(stack, "moved")
    provision(stack, "moved", 1)
    before, _ = stack.invoke("moved", {}, Qualifier="live")
    stack.functions.update_function_configuration(FunctionName="moved", Description="second")
    stack.functions.get_waiter("function_updated_v2").wait(FunctionName="moved", WaiterConfig={"Delay": 1})
    assert publish(stack, "moved") == "2"
    stack.functions.update_alias(FunctionName="moved", Name="live", FunctionVersion="2")
    until(lambda: initialised(stack, "moved", "2") == 1 and not stack.runs(before))
    until(lambda: stack.invoke("moved", {}, Qualifier="live")[0]["kind"] == "provisioned-concurrency")
    assert stack.invoke("moved", {}, Qualifier="live")[0]["version"] == "2"


def test_provisioned_is_part_of_reserved_concurrency(stack: FunctionStack) -> None:
    create(stack, "both")
    place = {"FunctionName": "both", "Qualifier": "live"}
    code = "InvalidParameterValueException"
    found = refused(
        stack,
        "put_provisioned_concurrency_config",
        FunctionName="both",
        Qualifier="$LATEST",
        ProvisionedConcurrentExecutions=1,
    )
    assert found[:2] == (400, code)
    stack.functions.put_function_concurrency(FunctionName="both", ReservedConcurrentExecutions=1)
    assert refused(stack, "put_provisioned_concurrency_config", **place, ProvisionedConcurrentExecutions=2)[:2] == (
        400,
        code,
    )
    provision(stack, "both", 1)
    assert refused(stack, "put_function_concurrency", FunctionName="both", ReservedConcurrentExecutions=0)[:2] == (
        400,
        code,
    )
    assert refused(stack, "invoke", FunctionName="both")[1] == "TooManyRequestsException"  # $LATEST has nothing
    held = Held(stack, "both", 2, Qualifier="live")
    held.wait(running=1, refused=1)
    assert [answer["kind"] for answer in held.release()] == ["provisioned-concurrency"]


def test_a_version_that_an_alias_names_is_not_deleted(stack: FunctionStack) -> None:
    create(stack, "named")
    status, code, message = refused(stack, "delete_function", FunctionName="named", Qualifier="1")
    assert (status, code) == (409, "ResourceConflictException")
    assert message == "Unable to delete version because the following aliases reference it: [live]"
    stack.functions.delete_alias(FunctionName="named", Name="live")
    provision(stack, "named", 1, "1")
    answer, _ = stack.invoke("named", {}, Qualifier="1")
    stack.functions.delete_function(FunctionName="named", Qualifier="1")
    until(lambda: not stack.runs(answer))
    stack.functions.put_function_concurrency(FunctionName="named", ReservedConcurrentExecutions=0)


def test_the_weights_of_an_alias_choose_the_version(stack: FunctionStack) -> None:
    create(stack, "weighed")
    stack.functions.update_function_configuration(FunctionName="weighed", Description="second")
    stack.functions.get_waiter("function_updated_v2").wait(FunctionName="weighed", WaiterConfig={"Delay": 1})
    publish(stack, "weighed")
    update, weights = stack.functions.update_alias, {"AdditionalVersionWeights": {"2": 0.5}}
    answer = update(FunctionName="weighed", Name="live", RoutingConfig=weights)
    assert answer["RoutingConfig"] == weights
    seen = set[str]()

    def both() -> bool:
        seen.add(stack.invoke("weighed", {}, Qualifier="live")[1]["ExecutedVersion"])
        return seen == {"1", "2"}

    until(both)
    assert "RoutingConfig" not in update(FunctionName="weighed", Name="live", RoutingConfig={})
    found = refused(stack, "update_alias", FunctionName="weighed", Name="live", FunctionVersion="7")
    assert found[:2] == (404, "ResourceNotFoundException")


def test_a_throttled_event_is_tried_again(stack: FunctionStack) -> None:
    create(stack, "queued")
    stack.functions.put_function_concurrency(FunctionName="queued", ReservedConcurrentExecutions=1)
    held = Held(stack, "queued", 1)
    held.wait(running=1)
    assert stack.invoke_event("queued", {}) == 202
    until(lambda: sum(metric(stack, "Throttles", "Sum", FunctionName="queued")) > 0)
    held.release()
    until(lambda: sum(metric(stack, "Invocations", "Sum", FunctionName="queued")) == 2)


def metric(stack: FunctionStack, name: str, statistic: str, **dimensions: str) -> list[float]:
    now = datetime.now(UTC)
    found = stack.localstack.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=2),
        Period=3600,
        Statistics=[statistic],
    )
    return [point[statistic] for point in found["Datapoints"]]


def test_cloudwatch_is_told_what_ran(stack: FunctionStack) -> None:
    create(stack, "measured")
    provision(stack, "measured", 2)
    held = Held(stack, "measured", 3, Qualifier="live")
    held.wait(running=3)
    held.release()
    stack.invoke("measured", {"fail": True}, Qualifier="live")
    alias = {"FunctionName": "measured", "Resource": "measured:live"}
    until(lambda: metric(stack, "Invocations", "Sum", **alias) == [4])
    assert metric(stack, "Errors", "Sum", **alias) == [1]
    assert metric(stack, "Throttles", "Sum", **alias) == [0]
    assert metric(stack, "Duration", "Maximum", **alias)[0] > 0
    assert metric(stack, "ProvisionedConcurrencyInvocations", "Sum", **alias) == [3]
    assert metric(stack, "ProvisionedConcurrencySpilloverInvocations", "Sum", **alias) == [1]
    assert metric(stack, "ProvisionedConcurrencyUtilization", "Maximum", **alias) == [1.0]
    assert metric(stack, "ProvisionedConcurrentExecutions", "Maximum", **alias) == [2]
    assert metric(stack, "ConcurrentExecutions", "Maximum", FunctionName="measured") == [3]
