"""What CloudWatch is told of a serverless variant beside what every variant tells."""

from stagemaker.hosting.serverless_metrics import concurrency, invocation


def test_the_share_of_the_concurrency_that_is_used() -> None:
    assert concurrency(2, 8, 0) == {"None": {"ServerlessConcurrentExecutionsUtilization": 0.25}}


def test_provisioned_concurrency_has_metrics_of_its_own() -> None:
    assert concurrency(1, 8, 2) == {
        "None": {
            "ServerlessConcurrentExecutionsUtilization": 0.125,
            "ServerlessProvisionedConcurrencyUtilization": 0.5,
        },
        "Count": {"ServerlessProvisionedConcurrencyExecutions": 1.0},
    }


def test_what_is_beyond_the_provisioned_concurrency_does_not_count_as_its_use() -> None:
    values = concurrency(4, 8, 2)
    assert values["None"]["ServerlessProvisionedConcurrencyUtilization"] == 1.0
    assert values["Count"]["ServerlessProvisionedConcurrencyExecutions"] == 2.0


def test_a_request_is_one_of_provisioned_concurrency_or_spills_over() -> None:
    assert invocation(1, 0) == {}
    assert invocation(2, 2) == {"Count": {"ServerlessProvisionedConcurrencyInvocations": 1.0}}
    assert invocation(3, 2) == {"Count": {"ServerlessProvisionedConcurrencySpilloverInvocations": 1.0}}
