"""A load of ten seconds, whose figures can be counted by hand."""

from datetime import timedelta

from infra.load.curve import constant
from infra.load.generator import NOT_SENT, Result
from infra.load.observe import Activity, Observation, Seen
from infra.load.requests import ANSWERED
from infra.load.summary import Run
from tests.unit.infra.load.fakes import BEGAN, HIGH, LOW

UNTRUSTED = "<script>alert('x')</script>"


def a_run(title: str = "as it is", cause: str = "c", compressed: str = "") -> Run:
    """Ten requests a second for ten seconds: those of second 5 fail by turns, one is not sent, all others are answered:
    after 10 ms, but the hundredth after 2 s, of which it waited one for a connection."""
    results = []
    for number in range(100):
        due_s = number / 10 + 0.05
        if due_s // 1 == 5:
            outcome = ("ModelError", "Throttled")[number % 2]
            results.append(Result(due_s, due_s, due_s + 0.001, outcome))
        elif number == 98:
            results.append(Result(due_s, None, due_s + 10, NOT_SENT))
        elif number == 99:
            results.append(Result(due_s, due_s + 1, due_s + 2, ANSWERED))
        else:
            results.append(Result(due_s, due_s, due_s + 0.010, ANSWERED))
    observations = (
        Observation(0.0, "InService", 1, 1, {HIGH: "OK", LOW: "INSUFFICIENT_DATA"}),
        Observation(4.0, "Updating", 1, 2, {HIGH: "ALARM", LOW: "OK"}),
        Observation(6.0, "InService", 2, 2, {HIGH: "OK", LOW: "OK"}),
    )
    activities = (
        Activity(
            "1", BEGAN + timedelta(seconds=4), BEGAN + timedelta(seconds=6), "Successful",
            "Setting desired instance count to 2.", cause, "Successfully set desired instance count to 2.", "", "",
        ),
        Activity("2", BEGAN + timedelta(seconds=8), None, "Failed", "none", cause, "", "", "AlreadyAtMaxCapacity"),
    )  # fmt: skip
    seen = Seen(observations, activities, compressed)
    return Run(title, "endpoint of dogs", "as it is", constant(10).lasting(10), BEGAN, 10.0, results, seen)
