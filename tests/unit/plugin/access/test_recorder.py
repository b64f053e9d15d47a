"""What the recorder counts, of whom, and what it forgets."""

import threading
from typing import Any

import pytest

from stagemaker.access import recorder as recorder_module
from stagemaker.access.callers import Caller
from stagemaker.access.enforce import Mode, Seen
from stagemaker.access.evaluate import Policies, decide
from stagemaker.access.policy_report import policy_report
from stagemaker.access.questions import Question
from stagemaker.access.recorder import Recorder
from stagemaker.access.request import AccessRequest, Principal
from tests.unit.plugin.access.questions import ACCOUNT, ROLE_ARN, ROOT_USER, SERVICE, SESSION, USER, allow, policy

ENDPOINT = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/dogs"
INVOKE = Question("sagemaker:InvokeEndpoint", ENDPOINT, ACCOUNT, {}, "sagemaker:InvokeEndpoint")
ALLOWED = Policies(identity=(policy(allow()),))


def seen(
    question: Question = INVOKE, principal: Principal = SESSION, *, allowed: bool = True, time_s: float = 0, **more: Any
) -> Seen:
    """Of a caller whose policies allow everything, or nothing."""
    request = AccessRequest(
        principal, question.action, question.resource_arn, question.resource_account, question.context
    )
    caller = Caller(principal, access_key_id="AKIA", user_id="AIDA", **more)
    return Seen(caller, question, decide(request, ALLOWED if allowed else Policies()), time_s)


def endpoint(number: int) -> Question:
    return Question(INVOKE.action, f"{ENDPOINT}-{number}", ACCOUNT, {}, INVOKE.because)


def recorded(recorder: Recorder, principal: str = ROLE_ARN) -> Any:
    found = recorder.recording(principal)
    assert found is not None
    return found


def test_calls_are_counted_by_their_kind() -> None:
    recorder = Recorder(Mode.OFF)
    for second in (1, 2, 3):
        recorder.saw(seen(time_s=second))
    (use,) = recorded(recorder).done
    assert (use.asked.action, use.asked.resource, use.because, use.count, use.last_s) == (
        "sagemaker:InvokeEndpoint", ENDPOINT, "sagemaker:InvokeEndpoint", 3, 3,
    )  # fmt: skip


def test_the_first_operation_that_asked_is_kept() -> None:
    recorder = Recorder(Mode.OFF)
    recorder.saw(seen(Question("iam:PassRole", ROLE_ARN, ACCOUNT, {}, "sagemaker:CreateModel")))
    recorder.saw(seen(Question("iam:PassRole", ROLE_ARN, ACCOUNT, {}, "sagemaker:CreateTrainingJob")))
    assert recorded(recorder).done[0].because == "sagemaker:CreateModel"


def test_a_role_is_one_principal_in_all_its_sessions() -> None:
    recorder = Recorder(Mode.OFF)
    recorder.saw(seen())
    recorder.saw(seen(principal=Principal(SESSION.arn + "-2", ROLE_ARN)))
    assert recorder.principals() == [ROLE_ARN]
    assert recorded(recorder).done[0].count == 2


def test_users_and_roots_are_recorded_services_and_the_stage_are_not() -> None:
    recorder = Recorder(Mode.STRICT)
    for principal in (USER, ROOT_USER, SERVICE):
        recorder.saw(seen(principal=principal))
    recorder.saw(seen(is_stage=True))
    assert recorder.principals() == sorted([USER.arn, ROOT_USER.arn])
    assert recorder.recording(ROLE_ARN) is None


@pytest.mark.parametrize(("mode", "done"), [(Mode.OFF, 1), (Mode.SOFT, 1), (Mode.STRICT, 0)])
def test_what_the_policies_do_not_allow_stands_apart_and_is_needed_if_it_was_done(mode: Mode, done: int) -> None:
    recorder = Recorder(mode)
    recorder.saw(seen(allowed=False))
    recording = recorded(recorder)
    assert len(recording.done) == done
    (refused,) = recording.refused
    assert refused.refusal == (
        f"User: {SESSION.arn} is not authorized to perform: sagemaker:InvokeEndpoint on resource: {ENDPOINT} "
        "because no identity-based policy allows the sagemaker:InvokeEndpoint action"
    )


def test_the_least_used_kind_is_forgotten_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_KINDS", 3)
    recorder = Recorder(Mode.OFF)
    for number, times in ((1, 2), (2, 1), (3, 1), (4, 1)):
        for _ in range(times):
            recorder.saw(seen(endpoint(number), time_s=number))
    recording = recorded(recorder)
    assert [use.asked.resource[-1] for use in recording.done] == ["1", "3", "4"]
    assert recording.forgotten == 1


def test_a_kind_that_is_too_long_is_forgotten() -> None:
    recorder = Recorder(Mode.OFF)
    recorder.saw(seen(Question("s3:GetObject", f"arn:aws:s3:::data/{'x' * 3000}/1", ACCOUNT, {}, "s3:GetObject")))
    listing = Question("s3:ListBucket", "arn:aws:s3:::data", ACCOUNT, {"s3:prefix": "x" * 3000}, "s3:ListObjects")
    recorder.saw(seen(listing, allowed=False))
    recording = recorded(recorder)
    assert (recording.done, recording.refused, recording.forgotten) == ((), (), 3)


def test_the_principal_that_rested_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_PRINCIPALS", 2)
    recorder = Recorder(Mode.OFF)
    for second, name in enumerate(["a", "b", "a", "c"]):
        recorder.saw(seen(principal=Principal(f"arn:aws:iam::{ACCOUNT}:user/{name}"), time_s=second))
    assert [arn[-1] for arn in recorder.principals()] == ["a", "c"]


def test_nothing_is_lost_between_threads() -> None:
    recorder = Recorder(Mode.OFF)

    def ask() -> None:
        for number in range(200):
            recorder.saw(seen(endpoint(number % 5)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [use.count for use in recorded(recorder).done] == [160] * 5


def test_the_report_has_the_policy_its_calls_and_what_was_refused() -> None:
    recorder = Recorder(Mode.STRICT)
    recorder.saw(seen(time_s=1_700_000_000.5))
    recorder.saw(seen(endpoint(2), allowed=False, time_s=1_700_000_001))
    report = policy_report(recorded(recorder), ["dogs-*"])
    statement = {
        "Sid": "SagemakerInvokeEndpoint",
        "Effect": "Allow",
        "Action": ["sagemaker:InvokeEndpoint"],
        "Resource": ENDPOINT,
    }
    reason = report["Refused"][0].pop("Reason")
    assert reason.startswith(f"User: {SESSION.arn} is not authorized to perform: sagemaker:InvokeEndpoint on resource:")
    assert report == {
        "Principal": ROLE_ARN,
        "Policy": {"Version": "2012-10-17", "Statement": [statement]},
        "Template": {
            "Version": "2012-10-17",
            "Statement": [{**statement, "Resource": "arn:aws:sagemaker:${region}:${account}:endpoint/dogs"}],
        },
        "Statements": [
            {
                "Sid": "SagemakerInvokeEndpoint",
                "Because": ["sagemaker:InvokeEndpoint"],
                "Count": 1,
                "LastTime": "2023-11-14T22:13:20Z",
            }
        ],
        "Refused": [
            {
                "Because": "sagemaker:InvokeEndpoint",
                "Count": 1,
                "LastTime": "2023-11-14T22:13:21Z",
                "Statement": {**statement, "Resource": ENDPOINT.replace("dogs", "dogs-*")},
            }
        ],
        "Forgotten": 0,
    }
