"""The life of a job: one suite over every kind, from create to the end. What a kind adds is in its own tests."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Change
from stagemaker.jobs.job import Handle
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.kind import JobKind
from stagemaker.jobs.statuses import ENDED
from stagemaker.processing.processing import Processing
from stagemaker.runtime.contract import Exit
from stagemaker.runtime.fake import FakeProgram
from stagemaker.training.training import Training
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.jobs.jobs_environment import JobsEnvironment
from tests.unit.plugin.jobs.tiny_kind import TINY_JOB, Tiny
from tests.unit.plugin.polling import until
from tests.unit.plugin.processing.processing_requests import request as processing_request
from tests.unit.plugin.training.training_requests import request as training_request

OBJECTS = {"s3://bucket/train/cat/1.jpg": b"cat"}


@dataclass(frozen=True)
class Case:
    """A kind, and what its tests need to know of it. `result` is the file that its container has to write, below the
    folder that it sees, and `output` where it goes to."""

    kind: JobKind[Any]
    request: Callable[[str], dict[str, Any]]
    result: str
    output: str

    @property
    def measures(self) -> bool:
        """Whether its jobs have metrics."""
        return not isinstance(self.kind, Processing)


def training(name: str) -> dict[str, Any]:
    metric = {"Name": "lines", "Regex": r"length (\d+)"}
    algorithm = {"TrainingImage": "stagemaker/program:1", "TrainingInputMode": "File", "MetricDefinitions": [metric]}
    return {**training_request(), "TrainingJobName": name, "AlgorithmSpecification": algorithm}


def tiny(name: str) -> dict[str, Any]:
    return {"TinyJobName": name, "Image": "stagemaker/program:1", "RoleArn": ROLE, "OutputUri": "s3://bucket/result"}


def processing(name: str) -> dict[str, Any]:
    return {**processing_request(), "ProcessingJobName": name}


CASES = [
    Case(Training(), training, "model/result", "s3://bucket/out/job/output/model.tar.gz"),
    Case(Tiny(), tiny, "result", "s3://bucket/result"),
    Case(Processing(), processing, "processing/output/result", "s3://bucket/out/result"),
]


class Environment(JobsEnvironment):
    """Jobs of the kind under test."""

    def __init__(self, folder: Path, case: Case) -> None:
        super().__init__(folder, {"program": self.succeed}, OBJECTS)
        self.case, self.kind = case, case.kind.kind
        self.jobs: Jobs[Any] = Jobs(case.kind, self.context)

    def succeed(self, program: FakeProgram) -> int:
        program.say("length 9")
        (program.base / self.case.result).write_text("done")
        return 0

    def runs(self, behaviour: Callable[[FakeProgram], int | Exit]) -> None:
        """What the jobs' containers do from now on."""
        self.runtime.behaviours["program"] = behaviour

    def submit(self, name: str = "job", **changes: Any) -> Handle:
        return self.jobs.submit(SCOPE, {**self.case.request(name), **changes})

    def named(self, name: str = "job") -> dict[str, str]:
        return {self.kind.name_member: name}

    def describe(self, name: str = "job") -> dict[str, Any]:
        return self.jobs.describe(SCOPE, self.named(name))

    def status(self, name: str = "job") -> str:
        return str(self.describe(name)[f"{self.kind.noun}Status"])

    def ended(self, name: str = "job") -> dict[str, Any]:
        until(lambda: self.status(name) in ENDED, f"the end of {name}")
        return self.describe(name)

    def summaries(self, **members: Any) -> list[str]:
        answer = self.jobs.list(SCOPE, members)
        return [summary[self.kind.name_member] for summary in answer[f"{self.kind.noun}Summaries"]]

    def refusal(self, call: Callable[[], object]) -> ApiError:
        with pytest.raises(ApiError) as caught:
            call()
        return caught.value


@pytest.fixture(params=CASES, ids=lambda case: str(case.kind.kind.noun))
def environment(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Environment]:
    """Closed afterwards; no thread and no folder of a job is left."""
    made = Environment(tmp_path, request.param)
    yield made
    made.close()


def waits(program: FakeProgram) -> int:
    """Ends soon after SIGTERM, with code 0."""
    program.handles_sigterm = True
    program.say("ready")
    while not program.sleep(30):
        pass
    return 0


def test_it_completes_and_its_result_is_kept(environment: Environment) -> None:
    answer = environment.jobs.create(SCOPE, environment.case.request("job"))
    arn = Ref(SCOPE, environment.kind, "job").arn
    assert answer == {environment.kind.arn_member: arn}
    job = environment.ended()
    assert (environment.status(), job[environment.kind.arn_member]) == ("Completed", arn)
    assert "Tags" not in job
    assert environment.case.output in environment.account.objects
    assert environment.logs.flushed
    assert not list(environment.work_dir.glob("*/*"))


def test_its_times_are_in_order(environment: Environment) -> None:
    environment.submit()
    job = environment.ended()
    verb = environment.kind.noun.removesuffix("Job")
    assert job["CreationTime"] <= job.get(f"{verb}StartTime", job["CreationTime"]) <= job[f"{verb}EndTime"]
    assert job["LastModifiedTime"] == job[f"{verb}EndTime"]


def test_the_container_has_the_roles_credentials_and_a_log_stream(environment: Environment) -> None:
    environment.submit()
    environment.ended()
    (spec,) = environment.runtime.started
    assert spec.environment["AWS_ACCESS_KEY_ID"] == "LSIAROLE"
    assert environment.logs.lines == {
        (environment.case.kind.log_group, "job/algo-1-1800000000"): [
            "Stagemaker: algo-1 runs on nothing: it is a fake",
            "length 9",
        ]
    }


def test_a_metric_has_its_history_and_goes_to_cloudwatch(environment: Environment) -> None:
    def measures(program: FakeProgram) -> int:
        program.say("length 7")
        environment.clock.now += 1
        program.say("length 42")
        return environment.succeed(program)

    if not environment.case.measures:
        pytest.skip("jobs of this kind have no metrics")
    environment.runs(measures)
    handle = environment.submit()
    environment.ended()
    moments = [moment - 1_800_000_000 for moment, _ in handle.history("lines")]
    values = [value for _, value in handle.history("lines")]
    assert moments == [0, 1, 1]
    assert environment.logs.values["lines"] == values
    assert environment.logs.dimensions["lines"] == environment.named()
    assert environment.logs.kinds["lines"] == (environment.case.kind.log_group, "None")
    assert handle.history("other") == []


def test_a_failure_has_a_reason_and_keeps_no_result(environment: Environment) -> None:
    environment.runs(lambda program: 3)
    environment.submit()
    job = environment.ended()
    assert environment.status() == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert job["FailureReason"].endswith("exit code: 3")
    assert environment.case.output not in environment.account.objects


def test_an_upload_that_fails_fails_the_job(environment: Environment) -> None:
    environment.account.fail_uploads = "Could not upload: the bucket is gone"
    environment.submit()
    assert environment.ended()["FailureReason"] == "ClientError: Could not upload: the bucket is gone"


def test_an_error_that_nobody_foresaw_fails_the_job(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(environment.runtime, "start", breaks)
    environment.submit()
    assert environment.ended()["FailureReason"] == "InternalServerError: unforeseen"


def test_a_reason_is_never_longer_than_aws_takes(environment: Environment) -> None:
    environment.account.fail_uploads = "x" * 3000
    environment.submit()
    assert len(environment.ended()["FailureReason"]) == 1024


def test_a_stopped_job_ends_as_stopped(environment: Environment) -> None:
    environment.runs(waits)
    environment.submit()
    environment.ready()
    assert environment.jobs.stop(SCOPE, environment.named()) == {}
    assert environment.status() in ("Stopping", "Stopped")
    environment.ended()
    assert environment.status() == "Stopped"
    assert "FailureReason" not in environment.describe()


def test_a_second_stop_is_no_error_until_the_job_has_ended(environment: Environment) -> None:
    go = threading.Event()

    def clings(program: FakeProgram) -> int:
        waits(program)
        go.wait(20)
        return 0

    environment.runs(clings)
    environment.submit()
    environment.ready()
    environment.jobs.stop(SCOPE, environment.named())
    environment.jobs.stop(SCOPE, environment.named())
    go.set()
    environment.ended()
    error = environment.refusal(lambda: environment.jobs.stop(SCOPE, environment.named()))
    assert error.code == "ValidationException"
    assert "is in status Stopped" in error.message


def test_only_an_ended_job_can_be_deleted(environment: Environment) -> None:
    environment.runs(waits)
    handle = environment.submit()
    environment.ready()
    assert environment.refusal(lambda: environment.jobs.delete(SCOPE, environment.named())).code == "ResourceInUse"
    handle.stop()
    environment.ended()
    assert environment.jobs.delete(SCOPE, environment.named()) == {}
    assert environment.summaries() == []
    assert handle.record() is None
    assert handle.history("lines") == []
    environment.runs(environment.succeed)
    environment.submit()
    environment.ended()


@pytest.mark.parametrize("operation", ["describe", "stop", "delete"])
def test_a_job_that_is_not_there(environment: Environment, operation: str) -> None:
    error = environment.refusal(lambda: getattr(environment.jobs, operation)(SCOPE, environment.named("none")))
    assert error.code == "ValidationException"
    kind = environment.case.kind
    sentence = kind.missing_to_stop if operation == "stop" else kind.missing
    assert error.message == sentence.format(name="none")


def test_a_name_is_used_once_in_a_scope_whatever_its_case(environment: Environment) -> None:
    environment.submit()
    for name in ("job", "Job"):
        error = environment.refusal(lambda name=name: environment.submit(name))  # type: ignore[misc]
        assert (error.code, error.status) == ("ResourceInUse", 400)
    other = Scope(SCOPE.account, "us-east-1")
    assert environment.refusal(lambda: environment.jobs.describe(other, environment.named())).status == 400


def test_of_those_who_take_a_name_at_once_one_gets_it(environment: Environment) -> None:
    answers: list[str] = []
    together = threading.Barrier(4)

    def submit() -> None:
        together.wait()
        try:
            environment.submit()
            answers.append("created")
        except ApiError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["ResourceInUse"] * 3 + ["created"]
    assert len(environment.summaries()) == 1


def test_bad_input_leaves_nothing_behind(environment: Environment) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    for changes in ({"RoleArn": "arn:aws:iam::123456789012:role/none"}, {"Tags": tags}):
        error = environment.refusal(lambda changes=changes: environment.submit(**changes))  # type: ignore[misc]
        assert error.code == "ValidationException"
    assert environment.summaries() == []
    assert environment.supervisor.threads() == []
    assert not environment.work_dir.exists()


def test_a_record_that_is_not_json_starts_nothing(environment: Environment) -> None:
    with pytest.raises(TypeError):
        environment.submit(Odd=object())
    assert environment.summaries() == []
    assert environment.supervisor.threads() == []


def test_a_machine_without_a_thread_to_spare_creates_no_job(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            environment.submit()
    assert environment.summaries() == []
    environment.submit()
    environment.ended()


def test_jobs_are_listed_by_pages_and_status(environment: Environment) -> None:
    for name in ("a", "b"):
        environment.submit(name)
        environment.ended(name)
        environment.clock.now += 1
    first = environment.jobs.list(SCOPE, {"MaxResults": 1})
    assert environment.summaries() == ["a", "b"]
    assert environment.summaries(MaxResults=1, NextToken=first["NextToken"]) == ["b"]
    assert environment.summaries(StatusEquals="Failed") == []
    assert environment.summaries(SortOrder="Descending") == ["b", "a"]


def test_an_interruption_ends_the_attempt_that_runs_and_no_other(environment: Environment) -> None:
    handle = environment.submit()
    environment.ended()
    started = len(environment.runtime.started)
    handle.interrupt()
    assert len(environment.runtime.started) == started
    assert environment.status() == "Completed"


def test_a_watcher_sees_every_step(environment: Environment) -> None:
    seen: list[Change] = []
    end = environment.store.watch(environment.kind, seen.append)
    environment.submit()
    environment.ended()
    environment.jobs.delete(SCOPE, environment.named())
    end()
    assert seen[0].before is None
    assert seen[-1].after is None
    member = f"{environment.kind.noun}Status"
    statuses = [change.after[member] for change in seen if change.after]
    assert (statuses[0], statuses[-1]) == ("InProgress", "Completed")


def test_somebody_else_can_wait_for_its_end(environment: Environment) -> None:
    environment.runs(waits)
    handle = environment.submit()
    assert not handle.wait(0.01)
    environment.ready()
    handle.stop()
    assert handle.wait(20)
    handle.stop()
    assert environment.status() == "Stopped"


def test_the_end_of_the_stage_ends_jobs_at_once(environment: Environment) -> None:
    def stubborn(program: FakeProgram) -> int:
        program.handles_sigterm = True
        program.say("ready")
        while True:
            program.sleep(30)

    environment.runs(stubborn)
    for name in ("a", "b"):
        environment.submit(name)
    environment.ready(2)
    environment.supervisor.close()
    for name in ("a", "b"):
        assert environment.status(name) == "Failed"
        assert environment.describe(name)["FailureReason"] == "InternalServerError: LocalStack was shut down."
    assert [container.poll() for container in environment.runtime.containers] == [Exit(137)] * 2
    error = environment.refusal(lambda: environment.submit("late"))
    assert (error.code, error.status) == ("ServiceUnavailable", 503)
    assert environment.summaries(NameContains="late") == []


def test_its_rows_of_the_table(environment: Environment) -> None:
    noun = environment.kind.noun
    assert [row[0] for row in environment.jobs.rows()] == [
        f"Create{noun}",
        f"Describe{noun}",
        f"List{noun}s",
        f"Stop{noun}",
        f"Delete{noun}",
    ]


@pytest.fixture
def tiny_environment(tmp_path: Path) -> Iterator[Environment]:
    """Of the kind that repeats and that submits others."""
    made = Environment(tmp_path, CASES[1])
    yield made
    made.close()


def test_an_interrupted_attempt_is_followed_by_another(tiny_environment: Environment) -> None:
    def interrupted_once(program: FakeProgram) -> int:
        return waits(program) if program.spec.name == "job-1" else tiny_environment.succeed(program)

    tiny_environment.runs(interrupted_once)
    tiny_environment.submit()
    tiny_environment.ready()
    assert tiny_environment.jobs.interrupt(Ref(SCOPE, TINY_JOB, "job"))
    tiny_environment.ended()
    assert tiny_environment.status() == "Completed"
    assert [spec.name for spec in tiny_environment.runtime.started] == ["job-1", "job-2"]


def test_all_attempts_of_a_job_run_the_image_that_the_name_meant_at_first(tiny_environment: Environment) -> None:
    runtime, image = tiny_environment.runtime, "stagemaker/program:1"
    runtime.digests[image] = f"sha256:{'1' * 64}"
    tiny_environment.runs(waits)
    handle = tiny_environment.submit()
    tiny_environment.ready()
    runtime.digests[image] = f"sha256:{'2' * 64}"
    handle.interrupt()
    until(lambda: len(runtime.started) == 2, "a second attempt")
    assert [spec.pinned for spec in runtime.started] == [f"stagemaker/program@sha256:{'1' * 64}"] * 2


def test_a_stop_ends_the_job_in_its_second_attempt_too(tiny_environment: Environment) -> None:
    tiny_environment.runs(waits)
    handle = tiny_environment.submit()
    tiny_environment.ready()
    handle.interrupt()
    until(lambda: len(tiny_environment.runtime.started) == 2, "a second attempt")
    handle.stop()
    tiny_environment.ended()
    assert tiny_environment.status() == "Stopped"
    assert not handle.interrupt() or handle.wait(20)


def test_a_job_runs_another_and_waits_for_it(tiny_environment: Environment) -> None:
    tiny_environment.submit(Child="child")
    tiny_environment.ended()
    assert (tiny_environment.status(), tiny_environment.status("child")) == ("Completed", "Completed")
    assert [spec.name for spec in tiny_environment.runtime.started] == ["child-1", "job-1"]


def test_a_job_that_is_stopped_stops_the_job_that_it_runs(tiny_environment: Environment) -> None:
    tiny_environment.runs(waits)
    handle = tiny_environment.submit(Child="child")
    tiny_environment.ready()
    handle.stop()
    tiny_environment.ended()
    assert tiny_environment.status("child") == "Stopped"
    assert tiny_environment.describe()["FailureReason"] == "ClientError: child did not complete"
