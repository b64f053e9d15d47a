"""What becomes of an instance, decided from values."""

import pytest

from stagemaker.hosting.health import HealthTimes, Observed, Ping, Verdict, judge


def test_the_times_are_those_that_the_documents_name() -> None:
    assert HealthTimes() == HealthTimes(ping_every_s=5, answer_s=2, late_answers=3, request_s=60)


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (Observed(Ping.ANSWERED, 0, 0.0), Verdict.SERVE),
        (Observed(Ping.ANSWERED, 0, -10.0), Verdict.SERVE),
        (Observed(Ping.LATE, 1, 0.0), Verdict.SERVE),
        (Observed(Ping.LATE, 2, 0.0), Verdict.SERVE),
        (Observed(Ping.LATE, 3, 60.0), Verdict.REST),  # busy
        (Observed(Ping.LATE, 30, 0.1), Verdict.REST),
        (Observed(Ping.LATE, 3, -0.1), Verdict.REPLACE),  # nobody waits for the answer any more
        (Observed(Ping.LATE, 3, 0.0), Verdict.REPLACE),  # it has nothing to do
        (Observed(Ping.REFUSED, 1, 0.0), Verdict.REPLACE),
        (Observed(Ping.REFUSED, 1, 59.0), Verdict.REPLACE),
    ],
)
def test_verdicts(observed: Observed, verdict: Verdict) -> None:
    assert judge(observed, HealthTimes()) is verdict
