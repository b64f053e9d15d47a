"""What the benchmark of deployments reads in LocalStack's log."""

from benchmarks.deploy import calls, changing

LOG = """\
2026-11-27T12:57:37.212  INFO --- [et.reactor-3] localstack.request.aws     : AWS iam.GetRole => 404 (NoSuchEntity)
2026-11-27T12:57:37.459  INFO --- [et.reactor-2] localstack.request.aws     : AWS s3.DeleteObject => 204
2026-11-27T12:57:37.604  INFO --- [et.reactor-1] localstack.request.http    : GET /_localstack/health => 200
2026-11-27T12:57:37.734  INFO --- [et.reactor-0] localstack.request.aws     : AWS ecr.BatchGetImage => 200
2026-11-27T12:57:37.862  INFO --- [et.reactor-3] localstack.request.aws     : AWS lambda.Invoke => 200
2026-11-27T12:57:37.993  INFO --- [et.reactor-0] localstack.request.aws     : AWS sagemaker.CreateModel => 400 (Refused)
2026-11-27T12:57:37.994  INFO --- [et.reactor-0] localstack.request.aws     : AWS logs.PutLogEvents => 200
"""


def test_the_calls_and_those_that_change_something() -> None:
    assert calls(LOG) == [
        "iam.GetRole", "s3.DeleteObject", "ecr.BatchGetImage", "lambda.Invoke", "sagemaker.CreateModel",
        "logs.PutLogEvents",
    ]  # fmt: skip
    assert changing(LOG) == ["s3.DeleteObject", "lambda.Invoke"]
