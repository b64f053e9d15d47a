"""Training jobs on several instances, from CreateTrainingJob to their end, on the fake runtime."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import Exit, HardwareRefused
from stagemaker.runtime.fake import FakeContainer, FakeProgram
from tests.unit.plugin.training.training_environment import (
    DATA,
    GROUP,
    Environment,
    refusal,
    saves_on_sigterm,
    steps,
)
from tests.unit.plugin.training.training_requests import algorithm, channel, hosts, instances

JPGS = ["cat/1.jpg", "dog/2.jpg"]


def tells(program: FakeProgram) -> int:
    """Writes what it is and has, below names of its own and one name that all share."""
    base, host = program.base, program.spec.host
    resource = json.loads((base / "input" / "config" / "resourceconfig.json").read_text())
    data = base / "input" / "data" / "train"
    found = sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())
    program.say(f"loss=0.{host[-1]}")
    (base / "model" / host).write_text(json.dumps(found))
    (base / "model" / "shared").write_text(host)
    (base / "output" / "data" / host).write_text(json.dumps([resource["current_host"], resource["hosts"]]))
    return 0


def one_fails(how: Callable[[FakeProgram], int | Exit]) -> Callable[[FakeProgram], int | Exit]:
    """algo-2 ends as `how` says when the others wait for it."""

    def behaves(program: FakeProgram) -> int | Exit:
        if program.spec.host == "algo-2":
            return how(program)
        (program.base / "model" / "weights").write_text("half")
        program.sleep(30)
        return 0

    return behaves


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_instance_has_its_folder_its_data_and_its_log(environment: Environment, count: int) -> None:
    metric = algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}])
    environment.create(tells, **instances(count, **metric))
    job = environment.ended()
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    names = hosts(count)
    assert environment.archive("model") == {**{name: json.dumps(JPGS) for name in names}, "shared": "algo-1"}
    assert environment.archive("output") == {name: json.dumps([name, names]) for name in names}
    assert environment.logs.lines == {
        (GROUP, f"job/{name}-1800000000"): [
            f"Stagemaker: {name} runs on nothing: it is a fake",
            f"loss=0.{name[-1]}",
        ]
        for name in names
    }
    assert sorted(environment.logs.values["loss"]) == [float(f"0.{name[-1]}") for name in names]
    assert environment.account.downloaded == ["s3://bucket/train"]
    assert not list(environment.work_dir.glob("*/*"))


def test_what_tells_the_containers_apart(environment: Environment) -> None:
    environment.create(tells, **instances(3))
    environment.ended()
    first, *others = environment.runtime.started
    assert [(spec.name, spec.host) for spec in environment.runtime.started] == [
        (f"job-{name}", name) for name in hosts(3)
    ]
    assert first.group.startswith("job-")
    assert {spec.group for spec in others} == {first.group}
    assert {spec.instance_type for spec in environment.runtime.started} == {"ml.m5.large"}
    assert first.base_dir
    assert [spec.base_dir for spec in environment.runtime.started] == [
        first.base_dir.parent / name for name in hosts(3)
    ]
    environment.create(tells, TrainingJobName="other", **instances(2))
    environment.ended("other")
    assert environment.runtime.started[-1].group not in ("", first.group)


def test_each_object_of_a_sharded_channel_is_on_one_host(environment: Environment) -> None:
    sharded = {"InputDataConfig": [channel(source={"S3DataDistributionType": "ShardedByS3Key"})]}
    environment.account.objects["s3://bucket/train/dog/3.jpg"] = b"dog"
    environment.create(tells, **instances(2, **sharded))
    environment.ended()
    model = environment.archive("model")
    assert {host: json.loads(model[host]) for host in hosts(2)} == {
        "algo-1": ["cat/1.jpg", "dog/3.jpg"],
        "algo-2": ["dog/2.jpg"],
    }
    assert environment.account.downloaded == ["s3://bucket/train"]


def test_one_that_fails_fails_the_job_with_its_reason(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        (program.base / "output" / "failure").write_text("no such class: cat")
        (program.base / "output" / "data" / "trace").write_text("why")
        return 2

    environment.create(one_fails(fails), **instances(3))
    job = environment.ended()
    assert job["FailureReason"] == "AlgorithmError: algo-2: no such class: cat, exit code: 2"
    assert environment.exits() == [Exit(143), Exit(2), Exit(143)]
    assert environment.archive("output") == {"trace": "why"}
    assert "s3://bucket/out/job/output/model.tar.gz" not in environment.account.objects
    assert not list(environment.work_dir.glob("*/*"))


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Exit(137, "It ran out of memory."), "algo-2: It ran out of memory, exit code: 137"),
        (Exit(139), "algo-2: See job logs for more information, exit code: 139"),
    ],
)
def test_the_reason_without_a_failure_file(environment: Environment, end: Exit, reason: str) -> None:
    environment.create(one_fails(lambda program: end), **instances(2))
    assert environment.ended()["FailureReason"] == f"AlgorithmError: {reason}"


def test_a_host_that_the_machine_lost_is_not_the_programs_fault(environment: Environment) -> None:
    environment.create(one_fails(lambda program: Exit(137, "The engine stopped: start it.", lost=True)), **instances(2))
    assert environment.ended()["FailureReason"] == "InternalServerError: algo-2: The engine stopped: start it"


def test_one_that_cannot_start_stops_the_others(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    start = environment.runtime.start

    def refuses(spec: Any, on_line: Any) -> FakeContainer:
        if spec.host == "algo-2":
            raise ApiError("InternalFailure", "the engine is full.", 500)
        return start(spec, on_line)

    monkeypatch.setattr(environment.runtime, "start", refuses)
    environment.create(lambda program: int(program.sleep(30)), **instances(3))
    job = environment.ended()
    assert job["FailureReason"] == "InternalServerError: algo-2 could not be started: the engine is full."
    assert steps(job) == ["Starting", "Downloading", "Failed"]
    assert environment.exits() == [Exit(143)]
    assert not list(environment.work_dir.glob("*/*"))


def test_a_stop_while_the_first_one_starts_starts_no_other(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = environment.runtime.start

    def slow(spec: Any, on_line: Any) -> FakeContainer:
        environment.stop()
        return start(spec, on_line)

    monkeypatch.setattr(environment.runtime, "start", slow)
    environment.create(lambda program: int(program.sleep(30)), **instances(2))
    job = environment.ended()
    assert steps(job) == ["Starting", "Downloading", "Stopping", "Uploading", "Stopped"]
    assert environment.exits() == [Exit(143)]


def test_a_stop_reaches_all_and_keeps_their_models(environment: Environment) -> None:
    def saves(program: FakeProgram) -> int:
        (program.base / "model" / program.spec.host).write_text("so far")
        return int(saves_on_sigterm(program))

    environment.create(saves, **instances(2))
    environment.until(lambda job: sum("ready" in lines for lines in environment.logs.lines.values()) == 2)
    environment.stop()
    job = environment.ended()
    assert (job["TrainingJobStatus"], environment.exits()) == ("Stopped", [Exit(1), Exit(1)])
    assert environment.archive("model") == {"algo-1": "so far", "algo-2": "so far", "weights": "so far"}


def test_the_time_limit_reaches_all(environment: Environment) -> None:
    environment.create(saves_on_sigterm, **instances(3), StoppingCondition={"MaxRuntimeInSeconds": 60})
    environment.until(lambda job: sum("ready" in lines for lines in environment.logs.lines.values()) == 3)
    environment.clock.now += 61
    job = environment.ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert environment.exits() == [Exit(1)] * 3


def test_checkpoints_of_all_hosts_have_one_prefix(environment: Environment) -> None:
    def resumes(program: FakeProgram) -> int:
        folder, host = program.base / "checkpoints", program.spec.host
        program.say((folder / "1").read_text())
        (folder / "1").write_text(f"by {host}")
        (folder / host).write_text("own")
        return 0

    environment.account.objects["s3://bucket/ck/1"] = b"first"
    environment.create(resumes, **instances(3), CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    environment.ended()
    assert [lines[1] for lines in environment.logs.lines.values()] == ["first"] * 3
    saved = {uri: data for uri, data in environment.account.objects.items() if uri.startswith("s3://bucket/ck/")}
    assert saved == {
        "s3://bucket/ck/1": b"by algo-1",
        **{f"s3://bucket/ck/{host}": b"own" for host in hosts(3)},
    }
    assert environment.account.downloaded == ["s3://bucket/train", "s3://bucket/ck/"]


def test_a_checkpoint_that_cannot_be_saved_is_a_line_and_is_tried_again(environment: Environment) -> None:
    def saves(program: FakeProgram) -> int:
        (program.base / "checkpoints" / "1").write_text("one")
        return int(saves_on_sigterm(program)) if program.spec.host == "algo-2" else int(program.sleep(30))

    environment.create(saves, **instances(2), CheckpointConfig={"S3Uri": "s3://bucket/ck"})
    environment.ready()
    environment.account.fail_uploads = "Could not upload: the bucket is gone"
    environment.clock.now += 11
    line = "Stagemaker: the checkpoint '1' is not saved yet, and is tried again: Could not upload: the bucket is gone"
    environment.until(lambda job: environment.said(line) == 2)
    environment.account.fail_uploads = ""
    environment.clock.now += 11
    environment.until(lambda job: "s3://bucket/ck/1" in environment.account.objects)
    assert environment.describe()["TrainingJobStatus"] == "InProgress"
    environment.stop()
    assert environment.ended()["TrainingJobStatus"] == "Stopped"
    assert environment.archive("model") == {"weights": "so far"}


def test_close_ends_all_at_once(environment: Environment) -> None:
    def stubborn(program: FakeProgram) -> int:
        program.handles_sigterm = True
        program.say("ready")
        while True:
            program.sleep(30)

    environment.create(stubborn, **instances(3))
    environment.until(lambda job: sum("ready" in lines for lines in environment.logs.lines.values()) == 3)
    environment.supervisor.close()
    assert "shut down" in environment.describe()["FailureReason"]
    assert environment.exits() == [Exit(137)] * 3
    assert environment.account.objects == DATA


def test_hardware_that_there_is_not_is_refused_at_create(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def check(instance_type: str, count: int) -> None:
        asked.append((instance_type, count))
        raise HardwareRefused("There is no GPU: set STAGEMAKER_GPU=auto.")

    monkeypatch.setattr(environment.runtime, "check_hardware", check)
    error = refusal(environment, **instances(4))
    assert (error.code, error.message) == ("ResourceLimitExceeded", "There is no GPU: set STAGEMAKER_GPU=auto.")
    assert asked == [("ml.m5.large", 4)]
    assert not environment.work_dir.exists()
