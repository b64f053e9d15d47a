"""Training jobs from CreateTrainingJob to their end, on the fake runtime."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import MemoryStore
from stagemaker.runtime.contract import ContainerSpec, Exit
from stagemaker.runtime.fake import Behaviour, FakeContainer, FakeProgram, FakeRuntime
from stagemaker.training.service import ENDED, Training
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeAws, FakeClock, FakeLogs
from tests.unit.plugin.training.test_plan import algorithm, channel, request

DATA = {"s3://bucket/train/cat/1.jpg": b"cat", "s3://bucket/train/dog/2.jpg": b"dog"}
GROUP = "/aws/sagemaker/TrainingJobs"


def trains(program: FakeProgram) -> int:
    base = program.base
    found = sorted(path.name for path in (base / "input" / "data" / "train").rglob("*.jpg"))
    program.say(f"loss=0.5 {found}")
    for odd in ("loss=", "loss=1.2.3", "loss=nan", "loss=inf"):
        program.say(odd)
    program.say("loss=0.25")
    (base / "model" / "weights").write_text(program.spec.environment["AWS_ACCESS_KEY_ID"])
    (base / "output" / "data" / "report").write_text((base / "input" / "config" / "hyperparameters.json").read_text())
    return 0


def saves_on_sigterm(program: FakeProgram) -> int:
    program.handles_sigterm = True
    (program.base / "model" / "weights").write_text("so far")
    program.say("ready")
    while not program.sleep(30):
        pass
    return 1


class Stand:
    """The service under test with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.work_dir = folder / "training"
        self.aws, self.logs, self.clock, self.store = FakeAws(DATA), FakeLogs(), FakeClock(), MemoryStore()
        self.runtime = FakeRuntime({"trainer": trains})
        self.training = Training(
            self.store,
            self.runtime,
            self.aws,  # type: ignore[arg-type]
            self.logs,  # type: ignore[arg-type]
            self.clock,
            self.work_dir,
        )

    def create(self, behaviour: Behaviour = trains, **changes: Any) -> dict[str, Any]:
        self.runtime.behaviours["trainer"] = behaviour
        return self.training.create_training_job(SCOPE, request(**changes))

    def describe(self, name: str = "job") -> dict[str, Any]:
        return self.training.describe_training_job(SCOPE, {"TrainingJobName": name})

    def stop(self) -> None:
        self.training.stop_training_job(SCOPE, {"TrainingJobName": "job"})

    def until(self, condition: Callable[[dict[str, Any]], bool], name: str = "job") -> dict[str, Any]:
        end = time.monotonic() + 20
        while not condition(job := self.describe(name)):
            assert time.monotonic() < end, job
            time.sleep(0.005)
        return job

    def ended(self, name: str = "job") -> dict[str, Any]:
        return self.until(lambda job: job["TrainingJobStatus"] in ENDED, name)

    def ready(self, jobs: int = 1) -> None:
        end = time.monotonic() + 20
        while sum("ready" in lines for lines in [*self.logs.lines.values()]) < jobs:
            assert time.monotonic() < end
            time.sleep(0.005)

    def archive(self, name: str) -> dict[str, str]:
        data = self.aws.objects[f"s3://bucket/out/job/output/{name}.tar.gz"]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {n: file.read().decode() for n in tar.getnames() if (file := tar.extractfile(n))}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.training.close()
    made.runtime.close()
    assert not made.work_dir.exists()


def steps(job: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def refusal(stand: Stand, **changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        stand.create(**changes)
    return caught.value


def test_a_job_runs_to_its_end(stand: Stand) -> None:
    assert stand.create(HyperParameters={"epochs": "3"}) == {
        "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/job"
    }
    job = stand.ended()
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [step["StatusMessage"] for step in job["SecondaryStatusTransitions"]][1:3] == [
        "Downloading input data",
        "Training image download completed. Training in progress. Runs on nothing: it is a fake.",
    ]
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/out/job/output/model.tar.gz"}
    assert stand.archive("model") == {"weights": "LSIAROLE"}
    assert json.loads(stand.archive("output")["report"]) == {"epochs": "3"}
    assert not list(stand.work_dir.glob("*"))


def test_the_container_is_what_sagemaker_starts(stand: Stand) -> None:
    stand.create(Environment={"GREETING": "hello"})
    job = stand.ended()
    (spec,) = stand.runtime.started
    assert spec == ContainerSpec(
        name="job-algo-1",
        image="stagemaker/trainer:1",
        command=("train",),
        base_dir=spec.base_dir,
        environment={
            "GREETING": "hello",
            "TRAINING_JOB_NAME": "job",
            "TRAINING_JOB_ARN": job["TrainingJobArn"],
            "AWS_ACCESS_KEY_ID": "LSIAROLE",
            "AWS_REGION": "eu-west-1",
        },
        host="algo-1",
        instance_type="ml.m5.large",
    )


def test_another_program_than_the_image_s_own(stand: Stand) -> None:
    stand.create(**algorithm(ContainerEntrypoint=["python3"], ContainerArguments=["-m", "mine"]))
    stand.ended()
    (spec,) = stand.runtime.started
    assert (spec.entrypoint, spec.command) == (("python3",), ("-m", "mine"))


def test_what_the_runtime_says_of_the_end_comes_before_what_the_container_says(stand: Stand) -> None:
    def dies(program: FakeProgram) -> Exit:
        (program.base / "output" / "failure").write_text("Killed while loading.")
        return Exit(137, "It ran out of memory: its limit is 512 MiB")

    stand.create(dies)
    assert stand.ended()["FailureReason"] == (
        "AlgorithmError: It ran out of memory: its limit is 512 MiB. Killed while loading., exit code: 137"
    )


def test_a_full_disk_is_said_and_nothing_is_uploaded(stand: Stand) -> None:
    def fills(program: FakeProgram) -> int:
        (program.base / "model" / "weights").write_text("w")
        (program.base / "output" / "data" / "report").write_text("r")
        (program.base.parent / "output.tar.partial").symlink_to("/dev/full")
        return 0

    stand.create(fills)
    assert stand.ended()["FailureReason"] == (
        "InternalServerError: No space left on the disk that holds LocalStack's data: free some, or use less data"
    )
    assert stand.aws.objects.keys() == DATA.keys()
    assert not list(stand.work_dir.glob("*"))


def test_logs_and_metrics(stand: Stand) -> None:
    stand.create(**algorithm(MetricDefinitions=[{"Name": "train:loss", "Regex": r"loss=(\S*)"}]))
    job = stand.ended()
    assert list(stand.logs.lines) == [(GROUP, "job/algo-1-1800000000")]
    assert stand.logs.lines[GROUP, "job/algo-1-1800000000"][:2] == [
        "Stagemaker: algo-1 runs on nothing: it is a fake",
        "loss=0.5 ['1.jpg', '2.jpg']",
    ]
    assert stand.logs.values == {"train:loss": [0.5, 0.25]}
    assert stand.logs.dimensions == {"train:loss": {"TrainingJobName": "job"}}
    (last,) = job["FinalMetricDataList"]
    assert (last["MetricName"], last["Value"]) == ("train:loss", 0.25)
    assert stand.logs.flushed


def test_a_regex_that_would_search_for_ever_costs_its_line_only(stand: Stand) -> None:
    def trains(program: FakeProgram) -> int:
        program.say("loss=" + "1" * 4000)
        program.say("loss=12;")
        return 0

    stand.create(trains, **algorithm(MetricDefinitions=[{"Name": "loss", "Regex": r"loss=((\d+)+);"}]))
    assert stand.ended()["TrainingJobStatus"] == "Completed"
    assert stand.logs.values == {"loss": [12.0]}


def test_a_failure_has_the_container_s_sentence(stand: Stand) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "failure").write_text("no such class: cat")
        (program.base / "output" / "data" / "trace").write_text("why")
        (program.base / "model" / "weights").write_text("half")
        return 2

    stand.create(fails)
    job = stand.ended()
    assert job["FailureReason"] == "AlgorithmError: no such class: cat, exit code: 2"
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert "s3://bucket/out/job/output/model.tar.gz" not in stand.aws.objects
    assert stand.archive("output") == {"trace": "why"}


def test_the_container_s_sentence_wins_over_an_upload_that_fails(stand: Stand) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "data" / "trace").write_text("why")
        (program.base / "output" / "failure").write_text("no such class: cat")
        return 2

    stand.aws.fail_uploads = "Could not upload: the bucket is gone"
    stand.create(fails)
    assert stand.ended()["FailureReason"] == "AlgorithmError: no such class: cat, exit code: 2"


@pytest.mark.parametrize(("text", "start"), [("", "AlgorithmError: See job logs"), ("x" * 3000, "AlgorithmError: xxx")])
def test_the_failure_reason_is_never_too_long_and_never_empty(stand: Stand, text: str, start: str) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "failure").write_text(text)
        return 137

    stand.create(fails)
    reason = stand.ended()["FailureReason"]
    assert reason.startswith(start)
    assert reason.endswith(", exit code: 137")
    assert len(reason) <= 1024


def test_a_stopped_job_keeps_the_model_so_far(stand: Stand) -> None:
    stand.create(saves_on_sigterm)
    stand.ready()
    stand.stop()
    assert stand.describe()["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = stand.ended()
    assert steps(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert stand.archive("model") == {"weights": "so far"}
    assert "FailureReason" not in job


def test_a_stop_during_the_download_starts_nothing(stand: Stand) -> None:
    stand.aws.go_on.clear()
    stand.create()
    assert stand.aws.downloading.wait(20)
    stand.stop()
    stand.stop()
    stand.aws.go_on.set()
    job = stand.ended()
    assert job["TrainingJobStatus"] == "Stopped"
    assert stand.runtime.started == []


def test_the_time_limit_stops_and_does_not_fail(stand: Stand) -> None:
    stand.create(saves_on_sigterm, StoppingCondition={"MaxRuntimeInSeconds": 60})
    stand.ready()
    stand.clock.now += 61
    job = stand.ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "MaxRuntimeExceeded"]
    assert job["TrainingTimeInSeconds"] == 61
    assert stand.archive("model") == {"weights": "so far"}


def test_checkpoints_come_and_go(stand: Stand) -> None:
    def resumes(program: FakeProgram) -> int:
        program.handles_sigterm = True
        folder = program.base / "checkpoints"
        program.say((folder / "1").read_text())
        (folder / "2").write_text("second")
        program.say("ready")
        while not program.sleep(30):
            pass
        (folder / "3").write_text("third")
        return 0

    stand.aws.objects["s3://bucket/ck/1"] = b"first"
    stand.create(resumes, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    stand.ready()
    stand.clock.now += 11
    stand.until(lambda job: "s3://bucket/ck/2" in stand.aws.objects)
    stand.aws.objects["s3://bucket/ck/1"] = b"untouched"
    stand.stop()
    stand.ended()
    assert stand.aws.objects["s3://bucket/ck/1"] == b"untouched"
    assert stand.aws.objects["s3://bucket/ck/3"] == b"third"


def test_a_checkpoint_that_is_renamed_while_it_is_sent(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = stand.aws.upload_file

    def renames(scope: Scope, path: Path, uri: str) -> None:
        for partial in stand.work_dir.glob("*/*/checkpoints/*.partial"):
            partial.rename(partial.with_suffix(""))
        upload(scope, path, uri)

    def saves(program: FakeProgram) -> int:
        (program.base / "checkpoints" / "last.partial").write_text("state")
        return 0

    monkeypatch.setattr(stand.aws, "upload_file", renames)
    stand.create(saves, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    assert stand.ended()["TrainingJobStatus"] == "Completed"
    assert stand.aws.objects["s3://bucket/ck/last.partial"] == b"state"


def test_a_model_folder_that_leads_elsewhere_is_not_sent(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")

    def swaps(program: FakeProgram) -> int:
        (program.base / "model").rmdir()
        (program.base / "model").symlink_to(tmp_path)
        (program.base / "output" / "failure").symlink_to(tmp_path / "secret")
        return 0

    stand.create(swaps)
    assert stand.ended()["TrainingJobStatus"] == "Completed"
    assert "s3://bucket/out/job/output/model.tar.gz" not in stand.aws.objects


def test_data_that_went_away_fails_the_job(stand: Stand) -> None:
    stand.aws.go_on.clear()
    stand.create()
    assert stand.aws.downloading.wait(20)
    stand.aws.objects.clear()
    stand.aws.go_on.set()
    reason = stand.ended()["FailureReason"]
    assert reason == "ClientError: Data download failed: S3 key: s3://bucket/train matched no files on s3"


def test_an_upload_that_fails_fails_the_job(stand: Stand) -> None:
    stand.aws.fail_uploads = "Could not upload: the bucket is gone"
    stand.create()
    assert stand.ended()["FailureReason"] == "ClientError: Could not upload: the bucket is gone"


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/none"}, "ValidationException", "Could not assume role"),
        (algorithm(TrainingImage="pytorch:2"), "ValidationException", "needs Docker"),
        ({"InputDataConfig": [channel(uri="s3://bucket/no")]}, "ValidationException", "No S3 objects found under"),
        ({"InputDataConfig": [channel(uri="s3://none/no")]}, "ValidationException", "No S3 objects found under"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://none/out"}}, "ValidationException", '"none"'),
        ({"EnableManagedSpotTraining": True}, "NotImplementedException", "EnableManagedSpotTraining"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "ValidationException", "same key"),
    ],
)
def test_bad_input_leaves_nothing_behind(stand: Stand, changes: dict[str, Any], code: str, sentence: str) -> None:
    error = refusal(stand, **changes)
    assert error.code == code
    assert sentence in error.message
    assert stand.training.list_training_jobs(SCOPE, {}) == {"TrainingJobSummaries": []}
    assert not stand.work_dir.exists()


def test_a_name_is_used_once_in_a_scope(stand: Stand) -> None:
    stand.create()
    error = refusal(stand)
    assert (error.code, error.status) == ("ResourceInUse", 400)
    with pytest.raises(ApiError):
        stand.training.describe_training_job(Scope(SCOPE.account, "us-east-1"), {"TrainingJobName": "job"})


@pytest.mark.parametrize("operation", ["describe", "stop", "delete"])
def test_a_job_that_is_not_there(stand: Stand, operation: str) -> None:
    with pytest.raises(ApiError) as caught:
        getattr(stand.training, f"{operation}_training_job")(SCOPE, {"TrainingJobName": "none"})
    assert caught.value.code == "ValidationException"
    assert caught.value.message.startswith("Requested resource not found")


def test_only_an_ended_job_can_be_deleted_and_only_a_running_one_stopped(stand: Stand) -> None:
    stand.create(saves_on_sigterm)
    stand.ready()
    with pytest.raises(ApiError) as caught:
        stand.training.delete_training_job(SCOPE, {"TrainingJobName": "job"})
    assert caught.value.code == "ResourceInUse"
    stand.stop()
    stand.ended()
    with pytest.raises(ApiError) as caught:
        stand.stop()
    assert "is in status Stopped" in caught.value.message
    assert stand.training.delete_training_job(SCOPE, {"TrainingJobName": "job"}) == {}
    assert stand.training.list_training_jobs(SCOPE, {}) == {"TrainingJobSummaries": []}


def test_listing(stand: Stand) -> None:
    for name in ("a", "b"):
        stand.create(TrainingJobName=name, Tags=[{"Key": "k", "Value": "v"}])
        stand.ended(name)
        stand.clock.now += 1
    page = stand.training.list_training_jobs(SCOPE, {"MaxResults": 1})
    assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == ["a"]
    rest = stand.training.list_training_jobs(SCOPE, {"MaxResults": 1, "NextToken": page["NextToken"]})
    assert [job["TrainingJobName"] for job in rest["TrainingJobSummaries"]] == ["b"]
    assert "NextToken" not in rest
    assert stand.training.list_training_jobs(SCOPE, {"StatusEquals": "Failed"}) == {"TrainingJobSummaries": []}
    assert "Tags" not in stand.describe("a")


def test_close_ends_running_jobs_at_once(stand: Stand) -> None:
    stand.create(saves_on_sigterm)
    stand.ready()
    stand.training.close()
    job = stand.describe()
    assert job["TrainingJobStatus"] == "Failed"
    assert "shut down" in job["FailureReason"]
    assert refusal(stand, TrainingJobName="late").code == "ServiceUnavailable"


def test_close_waits_once_for_all_jobs(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine that does not end their containers."""
    go = threading.Event()

    def never_ends(self: FakeContainer, grace_s: float) -> Exit:
        assert go.wait(60)
        return Exit(137, lost=True)

    for name in "abc":
        stand.create(saves_on_sigterm, TrainingJobName=name)
    stand.ready(3)
    with monkeypatch.context() as patch:
        patch.setattr(FakeContainer, "stop", never_ends)
        patch.setattr(service, "CLOSE_WAIT_S", 0.1)
        stand.training.close()
        assert not go.is_set()
        go.set()
    stand.training.close()


def test_a_machine_without_a_thread_to_spare_creates_no_job(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            stand.create()
    stand.create()
    assert stand.ended()["TrainingJobStatus"] == "Completed"


def test_the_role_of_the_tests_is_the_one_that_exists() -> None:
    assert request()["RoleArn"] == ROLE
