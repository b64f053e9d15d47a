"""Training jobs from CreateTrainingJob to their end, on the fake runtime."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.runtime.contract import ContainerSpec, Exit, IsolationRefused, mounts_below_base
from stagemaker.runtime.fake import FakeContainer, FakeProgram
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.jobs.trees import make
from tests.unit.plugin.training.training_environment import (
    DATA,
    GROUP,
    Environment,
    refusal,
    saves_on_sigterm,
    steps,
)
from tests.unit.plugin.training.training_requests import algorithm, channel, request


def test_a_job_runs_to_its_end(environment: Environment) -> None:
    assert environment.create(HyperParameters={"epochs": "3"}) == {
        "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/job"
    }
    job = environment.ended()
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [step["StatusMessage"] for step in job["SecondaryStatusTransitions"]] == [
        "Preparing the instances for training",
        "Downloading input data",
        "Training image download completed. Training in progress. Runs on nothing: it is a fake.",
        "Uploading generated training model",
        "Training job completed",
    ]
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/out/job/output/model.tar.gz"}
    assert environment.archive("model") == {"weights": "LSIAROLE"}
    assert json.loads(environment.archive("output")["report"]) == {"epochs": "3"}
    assert not list(environment.work_dir.glob("*/*"))


def test_the_container_is_what_sagemaker_starts(environment: Environment) -> None:
    environment.create(Environment={"GREETING": "hello"})
    job = environment.ended()
    (spec,) = environment.runtime.started
    assert spec == ContainerSpec(
        name="job-algo-1",
        image="stagemaker/trainer:1",
        command=("train",),
        base_dir=spec.base_dir,
        mounts=mounts_below_base(spec.base_dir or Path(), ("input", "model", "output")),
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


def test_an_isolated_job(environment: Environment) -> None:
    environment.create(EnableNetworkIsolation=True)
    assert environment.ended()["EnableNetworkIsolation"] is True
    assert environment.runtime.started[0].isolated


def test_the_role_s_credentials_are_renewed_and_the_caller_s_are_not(environment: Environment) -> None:
    environment.create()
    environment.create(TrainingJobName="other", Environment={"AWS_ACCESS_KEY_ID": "mine"})
    environment.ended()
    environment.ended("other")
    by_role, by_caller = sorted(environment.runtime.started, key=lambda spec: spec.name)
    assert by_role.credentials
    assert by_role.credentials().role_arn == ROLE
    assert by_caller.credentials is None


def test_all_that_a_job_does_under_its_role_is_done_in_its_subnet(environment: Environment) -> None:
    environment.create(VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]})
    environment.ended()
    (spec,) = environment.runtime.started
    assert spec.credentials
    spec.credentials()
    assert environment.account.subnets == {"subnet-1"}


def test_isolation_that_there_is_not_is_refused_at_create(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise IsolationRefused("Network isolation needs Docker.")

    monkeypatch.setattr(environment.runtime, "check_isolation", check)
    error = refusal(environment, EnableNetworkIsolation=True)
    assert (error.code, error.message) == ("ValidationException", "Network isolation needs Docker.")
    environment.create()
    assert environment.ended()["EnableNetworkIsolation"] is False


def test_another_program_than_the_image_s_own(environment: Environment) -> None:
    environment.create(**algorithm(ContainerEntrypoint=["python3"], ContainerArguments=["-m", "mine"]))
    environment.ended()
    (spec,) = environment.runtime.started
    assert (spec.entrypoint, spec.command) == (("python3",), ("-m", "mine"))


def test_what_the_runtime_says_of_the_end_comes_before_what_the_container_says(
    environment: Environment,
) -> None:
    def dies(program: FakeProgram) -> Exit:
        (program.base / "output" / "failure").write_text("Killed while loading.")
        return Exit(137, "It ran out of memory: its limit is 512 MiB")

    environment.create(dies)
    assert environment.ended()["FailureReason"] == (
        "AlgorithmError: It ran out of memory: its limit is 512 MiB. Killed while loading., exit code: 137"
    )


def test_a_full_disk_is_said_and_nothing_is_uploaded(environment: Environment) -> None:
    def fills(program: FakeProgram) -> int:
        (program.base / "model" / "weights").write_text("w")
        (program.base / "output" / "data" / "report").write_text("r")
        (program.base.parent / "output.tar.partial").symlink_to("/dev/full")
        return 0

    environment.create(fills)
    assert environment.ended()["FailureReason"] == (
        "InternalServerError: No space left on the disk that holds LocalStack's data: free some, or use less data"
    )
    assert environment.account.objects.keys() == DATA.keys()
    assert not list(environment.work_dir.glob("*/*"))


def test_logs_and_metrics(environment: Environment) -> None:
    environment.create(**algorithm(MetricDefinitions=[{"Name": "train:loss", "Regex": r"loss=(\S*)"}]))
    job = environment.ended()
    assert list(environment.logs.lines) == [(GROUP, "job/algo-1-1800000000")]
    assert environment.logs.lines[GROUP, "job/algo-1-1800000000"][:2] == [
        "Stagemaker: algo-1 runs on nothing: it is a fake",
        "loss=0.5 ['1.jpg', '2.jpg']",
    ]
    assert environment.logs.values == {"train:loss": [0.5, 0.25]}
    assert environment.logs.dimensions == {"train:loss": {"TrainingJobName": "job"}}
    (last,) = job["FinalMetricDataList"]
    assert (last["MetricName"], last["Value"]) == ("train:loss", 0.25)
    assert environment.logs.flushed


def test_a_regex_that_would_search_for_ever_costs_its_line_only(environment: Environment) -> None:
    def trains(program: FakeProgram) -> int:
        program.say("loss=" + "1" * 4000)
        program.say("loss=12;")
        return 0

    environment.create(trains, **algorithm(MetricDefinitions=[{"Name": "loss", "Regex": r"loss=((\d+)+);"}]))
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.logs.values == {"loss": [12.0]}


def test_a_failure_has_the_container_s_sentence(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "failure").write_text("no such class: cat")
        (program.base / "output" / "data" / "trace").write_text("why")
        (program.base / "model" / "weights").write_text("half")
        return 2

    environment.create(fails)
    job = environment.ended()
    assert job["FailureReason"] == "AlgorithmError: no such class: cat, exit code: 2"
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert "s3://bucket/out/job/output/model.tar.gz" not in environment.account.objects
    assert environment.archive("output") == {"trace": "why"}


def test_the_container_s_sentence_wins_over_an_upload_that_fails(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "data" / "trace").write_text("why")
        (program.base / "output" / "failure").write_text("no such class: cat")
        return 2

    environment.account.fail_uploads = "Could not upload: the bucket is gone"
    environment.create(fails)
    assert environment.ended()["FailureReason"] == "AlgorithmError: no such class: cat, exit code: 2"


@pytest.mark.parametrize(("text", "start"), [("", "AlgorithmError: See job logs"), ("x" * 3000, "AlgorithmError: xxx")])
def test_the_failure_reason_is_never_too_long_and_never_empty(environment: Environment, text: str, start: str) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "failure").write_text(text)
        return 137

    environment.create(fails)
    reason = environment.ended()["FailureReason"]
    assert reason.startswith(start)
    assert reason.endswith(", exit code: 137")
    assert len(reason) <= 1024


def test_a_stopped_job_keeps_the_model_so_far(environment: Environment) -> None:
    environment.create(saves_on_sigterm)
    environment.ready()
    environment.stop()
    assert environment.describe()["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = environment.ended()
    assert steps(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert environment.archive("model") == {"weights": "so far"}
    assert "FailureReason" not in job
    assert environment.runtime.containers[0].graces_s[0] == 120


def test_a_stop_during_the_download_starts_nothing(environment: Environment) -> None:
    environment.account.go_on.clear()
    environment.create()
    assert environment.account.downloading.wait(20)
    environment.stop()
    environment.stop()
    environment.account.go_on.set()
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Stopped"
    assert environment.runtime.started == []


def test_the_time_limit_stops_and_does_not_fail(environment: Environment) -> None:
    environment.create(saves_on_sigterm, StoppingCondition={"MaxRuntimeInSeconds": 60})
    environment.ready()
    environment.clock.now += 61
    job = environment.ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "MaxRuntimeExceeded"]
    assert job["TrainingTimeInSeconds"] == 61
    assert environment.archive("model") == {"weights": "so far"}


def test_checkpoints_come_and_go(environment: Environment) -> None:
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

    environment.account.objects["s3://bucket/ck/1"] = b"first"
    environment.create(resumes, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    environment.ready()
    environment.clock.now += 11
    environment.until(lambda job: "s3://bucket/ck/2" in environment.account.objects)
    environment.account.objects["s3://bucket/ck/1"] = b"untouched"
    environment.stop()
    environment.ended()
    assert environment.account.objects["s3://bucket/ck/1"] == b"untouched"
    assert environment.account.objects["s3://bucket/ck/3"] == b"third"


def test_a_checkpoint_that_is_renamed_while_it_is_sent(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = environment.account.upload_file

    def renames(scope: Scope, path: Path, uri: str) -> None:
        for partial in environment.work_dir.glob("*/*/*/checkpoints/*.partial"):
            partial.rename(partial.with_suffix(""))
        upload(scope, path, uri)

    def saves(program: FakeProgram) -> int:
        (program.base / "checkpoints" / "last.partial").write_text("state")
        return 0

    monkeypatch.setattr(environment.account, "upload_file", renames)
    environment.create(saves, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.account.objects["s3://bucket/ck/last.partial"] == b"state"


def test_a_checkpoint_that_s3_does_not_take_is_skipped_and_the_model_is_sent(environment: Environment) -> None:
    long = "/".join(["n" * 200] * 5)

    def saves(program: FakeProgram) -> int:
        folder = program.base / "checkpoints"
        (folder / os.fsdecode(b"caf\xe9")).write_text("no UTF-8")
        (folder / long).mkdir(parents=True)
        (folder / long / "file").write_text("1,012 bytes")
        (folder / long / "file-of-a-longer-name").write_text("1,029 bytes")
        (program.base / "model" / "weights").write_text("w")
        return 0

    environment.create(saves, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.archive("model") == {"weights": "w"}
    assert environment.account.objects[f"s3://bucket/ck/{long}/file"] == b"1,012 bytes"
    lines = environment.logs.lines[GROUP, "job/algo-1-1800000000"]
    assert lines[1:] == [
        "Stagemaker: the checkpoint 'caf\\xe9' is not saved: its name is not UTF-8, which S3 asks for",
        f"Stagemaker: the checkpoint '{'n' * 100}...{('n' * 100 + '/file-of-a-longer-name')[-100:]}' is not saved: its "
        "key would have 1,029 bytes, and S3 takes 1,024",
    ]


def test_checkpoints_that_cannot_be_saved_at_the_end_cost_no_model(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = environment.account.upload_file

    def refuses(scope: Scope, path: Path, uri: str) -> None:
        if uri.startswith("s3://bucket/ck/"):
            raise validation_error("Could not upload: Access Denied")
        upload(scope, path, uri)

    def saves(program: FakeProgram) -> int:
        (program.base / "checkpoints" / "last").write_text("state")
        (program.base / "model" / "weights").write_text("w")
        return 0

    monkeypatch.setattr(environment.account, "upload_file", refuses)
    environment.create(saves, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.archive("model") == {"weights": "w"}
    assert environment.said("Stagemaker: the checkpoint 'last' is not saved: Could not upload: Access Denied") == 1


def test_checkpoints_outside_of_opt_ml(environment: Environment) -> None:
    def resumes(program: FakeProgram) -> int:
        folder = program.path("/state")
        program.say((folder / "1").read_text())
        (folder / "2").write_text("second")
        return 0

    environment.account.objects["s3://bucket/ck/1"] = b"first"
    environment.create(resumes, CheckpointConfig={"S3Uri": "s3://bucket/ck", "LocalPath": "/state"})
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.said("first") == 1
    assert environment.account.objects["s3://bucket/ck/2"] == b"second"


BOARD = "s3://bucket/board/job/tensorboard-output"
TENSORBOARD = {"TensorBoardOutputConfig": {"S3OutputPath": "s3://bucket/board"}}


def test_tensorboard_files_are_sent_while_the_job_runs_and_stay(environment: Environment) -> None:
    def writes(program: FakeProgram) -> int:
        program.handles_sigterm = True
        folder = program.base / "output" / "tensorboard"
        make(folder, {"events.1": "one", "valid/events.2": "two"})
        program.say("ready")
        while not program.sleep(30):
            pass
        (folder / "events.1").unlink()
        (folder / "valid" / "events.2").write_text("two and more")
        return 0

    environment.account.objects[f"{BOARD}/of another attempt"] = b"kept"
    environment.create(writes, **TENSORBOARD)
    environment.ready()
    environment.clock.now += 11
    environment.until(lambda job: f"{BOARD}/valid/events.2" in environment.account.objects)
    assert environment.describe()["TrainingJobStatus"] == "InProgress"
    environment.stop()
    environment.ended()
    found = {uri: body for uri, body in environment.account.objects.items() if uri.startswith("s3://bucket/board/")}
    assert found == {
        f"{BOARD}/of another attempt": b"kept",
        f"{BOARD}/events.1": b"one",
        f"{BOARD}/valid/events.2": b"two and more",
    }


def test_tensorboard_files_of_a_job_that_fails_are_sent_and_none_come_down(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        folder = program.path("/tensorboard")
        assert list(folder.iterdir()) == []
        (folder / "events").write_text("last")
        return 1

    environment.account.objects[f"{BOARD}/events.before"] = b"before"
    environment.create(
        fails, TensorBoardOutputConfig={"S3OutputPath": "s3://bucket/board", "LocalPath": "/tensorboard"}
    )
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 1"
    assert environment.account.objects[f"{BOARD}/events"] == b"last"


def test_a_tensorboard_file_that_cannot_be_sent_is_a_line_and_costs_no_model(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = environment.account.upload_file

    def refuses(scope: Scope, path: Path, uri: str) -> None:
        if uri.startswith(BOARD):
            raise validation_error("Could not upload: Access Denied")
        upload(scope, path, uri)

    def writes(program: FakeProgram) -> int:
        make(program.base, {"output/tensorboard/events": "e", "checkpoints/last": "c", "model/weights": "w"})
        return 0

    monkeypatch.setattr(environment.account, "upload_file", refuses)
    environment.create(writes, **TENSORBOARD, CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert environment.archive("model") == {"weights": "w"}
    assert environment.account.objects["s3://bucket/ck/last"] == b"c"
    line = "Stagemaker: the TensorBoard file 'events' is not saved: Could not upload: Access Denied"
    assert environment.said(line) == 1


def test_the_bucket_of_tensorboard_files_must_be_there(environment: Environment) -> None:
    error = refusal(environment, TensorBoardOutputConfig={"S3OutputPath": "s3://elsewhere/board"})
    assert (error.code, error.message) == (
        "ValidationException",
        'There is no bucket "elsewhere" in the region eu-west-1: create it first.',
    )


def test_what_of_the_environment_is_not_taken_is_said_first(environment: Environment) -> None:
    given = {"AWS_REGION": "us-west-2", "AWS_SESSION_TOKEN": "alone", "TRAINING_JOB_NAME": "mine"}
    environment.create(Environment=given)
    environment.ended()
    (spec,) = environment.runtime.started
    assert spec.environment == {
        "AWS_ACCESS_KEY_ID": "LSIAROLE",
        "AWS_REGION": "us-west-2",
        "TRAINING_JOB_NAME": "job",
        "TRAINING_JOB_ARN": environment.describe()["TrainingJobArn"],
    }
    assert environment.logs.lines[GROUP, "job/algo-1-1800000000"][1:4] == [
        "Stagemaker: not taken from Environment, since the service sets it: TRAINING_JOB_NAME",
        "Stagemaker: not taken from Environment, since AWS_ACCESS_KEY_ID is not there: AWS_SESSION_TOKEN",
        "Stagemaker: not taken from the role, since Environment sets it: AWS_REGION",
    ]


def test_a_model_folder_that_leads_elsewhere_is_not_sent(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody else")

    def swaps(program: FakeProgram) -> int:
        (program.base / "model").rmdir()
        (program.base / "model").symlink_to(tmp_path)
        (program.base / "output" / "failure").symlink_to(tmp_path / "secret")
        return 0

    environment.create(swaps)
    assert environment.ended()["TrainingJobStatus"] == "Completed"
    assert "s3://bucket/out/job/output/model.tar.gz" not in environment.account.objects


def test_data_that_went_away_fails_the_job(environment: Environment) -> None:
    environment.account.go_on.clear()
    environment.create()
    assert environment.account.downloading.wait(20)
    environment.account.objects.clear()
    environment.account.go_on.set()
    reason = environment.ended()["FailureReason"]
    assert reason == "ClientError: Data download failed: S3 key: s3://bucket/train matched no files on s3"


def test_an_upload_that_fails_fails_the_job(environment: Environment) -> None:
    environment.account.fail_uploads = "Could not upload: the bucket is gone"
    environment.create()
    assert environment.ended()["FailureReason"] == "ClientError: Could not upload: the bucket is gone"


def test_a_description_shows_what_has_no_effect_on_one_machine(environment: Environment) -> None:
    asked: dict[str, Any] = {
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableInterContainerTrafficEncryption": True,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "KmsKeyId": "alias/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
            "VolumeKmsKeyId": "alias/volume",
        },
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "TensorBoardOutputConfig": {"S3OutputPath": "s3://bucket/boards"},
    }
    environment.create(**asked)
    job = environment.ended()
    assert {member: job[member] for member in asked} == asked


UNCOMPRESSED = {"S3OutputPath": "s3://bucket/out", "CompressionType": "NONE"}


def makes_a_tree(program: FakeProgram) -> int:
    make(program.base / "model", {"config.json": "{}", "parts/1": "one", "parts/2": "two"})
    make(program.base / "output" / "data", {"report": "r"})
    (program.base / "model" / "latest").symlink_to("config.json")
    (program.base / "model" / "elsewhere").symlink_to("/etc/hostname")
    return 0


def test_a_model_that_is_not_compressed_is_there_file_by_file(environment: Environment) -> None:
    environment.create(makes_a_tree, OutputDataConfig=UNCOMPRESSED)
    job = environment.ended()
    assert job["TrainingJobStatus"] == "Completed"
    assert job["OutputDataConfig"] == {"KmsKeyId": "", **UNCOMPRESSED}
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    found = {name.removeprefix(uri): data for name, data in environment.account.objects.items() if name.startswith(uri)}
    assert found == {"config.json": b"{}", "latest": b"{}", "parts/1": b"one", "parts/2": b"two"}
    assert environment.archive("output") == {"report": "r"}


def test_of_a_model_that_is_not_compressed_nothing_is_half_uploaded(environment: Environment) -> None:
    environment.account.refused = "s3://bucket/out/job/output/model/parts/2"
    environment.create(makes_a_tree, OutputDataConfig=UNCOMPRESSED)
    reason = environment.ended()["FailureReason"]
    assert reason == "ClientError: Could not upload to s3://bucket/out/job/output/model/parts/2: Access Denied"
    assert not [name for name in environment.account.objects if name.startswith("s3://bucket/out")]


def test_a_name_that_s3_does_not_take_leaves_a_model_without_compression_where_it_is(environment: Environment) -> None:
    def nests(program: FakeProgram) -> int:
        make(program.base / "model", {"a": "first", "/".join(["x" * 200] * 6): "deep"})
        return 0

    environment.create(nests, OutputDataConfig=UNCOMPRESSED)
    reason = environment.ended()["FailureReason"]
    assert reason.endswith("and S3 takes 1,024")
    assert not [name for name in environment.account.objects if name.startswith("s3://bucket/out")]


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/none"}, "ValidationException", "Could not assume role"),
        (algorithm(TrainingImage="pytorch:2"), "ValidationException", "needs Docker"),
        ({"InputDataConfig": [channel(uri="s3://bucket/no")]}, "ValidationException", "No S3 objects found under"),
        ({"InputDataConfig": [channel(uri="s3://none/no")]}, "ValidationException", "No S3 objects found under"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://none/out"}}, "ValidationException", '"none"'),
        ({"ExperimentConfig": {"TrialName": "dogs"}}, "NotImplementedException", "ExperimentConfig"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "ValidationException", "same key"),
    ],
)
def test_bad_input_leaves_nothing_behind(
    environment: Environment, changes: dict[str, Any], code: str, sentence: str
) -> None:
    error = refusal(environment, **changes)
    assert error.code == code
    assert sentence in error.message
    assert environment.list() == {"TrainingJobSummaries": []}
    assert not environment.work_dir.exists()


def test_a_name_is_used_once_in_a_scope(environment: Environment) -> None:
    environment.create()
    error = refusal(environment)
    assert (error.code, error.status) == ("ResourceInUse", 400)
    assert error.message == (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        "exists (arn:aws:sagemaker:eu-west-1:123456789012:training-job/job)"
    )
    with pytest.raises(ApiError):
        environment.training.describe(Scope(SCOPE.account, "us-east-1"), {"TrainingJobName": "job"})


@pytest.mark.parametrize("operation", ["describe", "stop", "delete"])
def test_a_job_that_is_not_there(environment: Environment, operation: str) -> None:
    with pytest.raises(ApiError) as caught:
        getattr(environment.training, operation)(SCOPE, {"TrainingJobName": "none"})
    assert caught.value.code == "ValidationException"
    assert caught.value.message == "Requested resource not found."


def test_only_an_ended_job_can_be_deleted_and_only_a_running_one_stopped(environment: Environment) -> None:
    environment.create(saves_on_sigterm)
    environment.ready()
    with pytest.raises(ApiError) as caught:
        environment.training.delete(SCOPE, {"TrainingJobName": "job"})
    assert caught.value.code == "ResourceInUse"
    environment.stop()
    environment.ended()
    with pytest.raises(ApiError) as caught:
        environment.stop()
    assert caught.value.code == "ValidationException"
    assert caught.value.message == "The request was rejected because the training job is in status Stopped."
    assert environment.training.delete(SCOPE, {"TrainingJobName": "job"}) == {}
    assert environment.list() == {"TrainingJobSummaries": []}


def test_listing(environment: Environment) -> None:
    for name in ("a", "b"):
        environment.create(TrainingJobName=name, Tags=[{"Key": "k", "Value": "v"}])
        environment.ended(name)
        environment.clock.now += 1
    page = environment.list(MaxResults=1)
    assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == ["a"]
    rest = environment.list(MaxResults=1, NextToken=page["NextToken"])
    assert [job["TrainingJobName"] for job in rest["TrainingJobSummaries"]] == ["b"]
    assert "NextToken" not in rest
    assert environment.list(StatusEquals="Failed") == {"TrainingJobSummaries": []}
    assert "Tags" not in environment.describe("a")
    first = page["TrainingJobSummaries"][0]
    assert (first["TrainingJobStatus"], first["SecondaryStatus"]) == ("Completed", "Completed")
    assert first.keys() == {
        *("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime"),
        *("TrainingJobStatus", "SecondaryStatus"),
    }
    for other in ({"WarmPoolStatusEquals": "Available"}, {"TrainingPlanArnEquals": "arn"}):
        assert environment.list(**other) == {"TrainingJobSummaries": []}


def test_a_page_is_made_before_its_status_is_looked_at(environment: Environment) -> None:
    for name in ("a", "b"):
        environment.create(TrainingJobName=name)
        environment.ended(name)
        environment.clock.now += 1
    environment.create(saves_on_sigterm)
    environment.ready()
    page = environment.list(MaxResults=1, StatusEquals="InProgress")
    assert page["TrainingJobSummaries"] == []
    rest = environment.list(MaxResults=2, StatusEquals="InProgress", NextToken=page["NextToken"])
    assert [job["TrainingJobName"] for job in rest["TrainingJobSummaries"]] == ["job"]
    assert "NextToken" not in rest
    alone = environment.list(StatusEquals="InProgress")
    assert [job["TrainingJobName"] for job in alone["TrainingJobSummaries"]] == ["job"]
    environment.stop()
    environment.ended()


def test_close_ends_running_jobs_at_once(environment: Environment) -> None:
    environment.create(saves_on_sigterm)
    environment.ready()
    environment.supervisor.close()
    job = environment.describe()
    assert job["TrainingJobStatus"] == "Failed"
    assert "shut down" in job["FailureReason"]
    assert refusal(environment, TrainingJobName="late").code == "ServiceUnavailable"


def test_close_waits_once_for_all_jobs(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine that does not end their containers."""
    go = threading.Event()

    def never_ends(self: FakeContainer, grace_s: float) -> Exit:
        assert go.wait(60)
        return Exit(137, lost=True)

    for name in "abc":
        environment.create(saves_on_sigterm, TrainingJobName=name)
    environment.ready(3)
    with monkeypatch.context() as patch:
        patch.setattr(FakeContainer, "stop", never_ends)
        patch.setattr(environment.runtime, "close", lambda: None)
        environment.supervisor.tasks_wait_s = 0.1
        environment.supervisor.close()
        assert not go.is_set()
        go.set()
    environment.supervisor.tasks_wait_s = 20
    environment.supervisor.close()
    environment.runtime.close()


def test_the_role_of_the_tests_is_the_one_that_exists() -> None:
    assert request()["RoleArn"] == ROLE
