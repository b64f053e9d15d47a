"""Processing jobs over the fake runtime: what goes in, what comes out, and what is said of their end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.mirror import PERIOD_S
from stagemaker.jobs.statuses import ENDED
from stagemaker.processing.plan import ProcessingPlan
from stagemaker.processing.processing import Processing
from stagemaker.runtime.fake import FakeProgram
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.jobs.jobs_environment import JobsEnvironment
from tests.unit.plugin.polling import until
from tests.unit.plugin.processing.processing_requests import cluster, output, request, source

DATA = {f"s3://bucket/train/{number}.txt": str(number).encode() for number in range(4)}


class Environment(JobsEnvironment):
    """Processing jobs whose containers do what `create` is told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"program": lambda _: 0}, DATA)
        self.jobs: Jobs[ProcessingPlan] = Jobs(Processing(), self.context)

    def create(self, behaviour: Callable[[FakeProgram], int], **changes: Any) -> None:
        self.runtime.behaviours["program"] = behaviour
        self.jobs.create(SCOPE, request(**changes))

    def describe(self) -> dict[str, Any]:
        return self.jobs.describe(SCOPE, {"ProcessingJobName": "job"})

    def ended(self) -> dict[str, Any]:
        until(lambda: self.describe()["ProcessingJobStatus"] in ENDED, "the end")
        return self.describe()

    def ran(self, behaviour: Callable[[FakeProgram], int], **changes: Any) -> dict[str, Any]:
        self.create(behaviour, **changes)
        return self.ended()

    def sent(self) -> dict[str, bytes]:
        """By the name below s3://bucket/out/."""
        prefix = "s3://bucket/out/"
        return {uri.removeprefix(prefix): data for uri, data in self.account.objects.items() if uri.startswith(prefix)}


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """Closed afterwards; nothing is left of it."""
    made = Environment(tmp_path)
    yield made
    made.close()


def folder(program: FakeProgram, name: str) -> Path:
    return program.base / "processing" / name


def writes(name: str, text: str = "done") -> Callable[[FakeProgram], int]:
    def program(given: FakeProgram) -> int:
        path = folder(given, "output") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return 0

    return program


def says(message: bytes, code: int = 0) -> Callable[[FakeProgram], int]:
    def program(given: FakeProgram) -> int:
        (given.base / "output" / "message").write_bytes(message)
        return code

    return program


def test_inputs_come_in_and_outputs_go_out(environment: Environment) -> None:
    def copies(program: FakeProgram) -> int:
        for path in folder(program, "input").iterdir():
            (folder(program, "output") / path.name).write_bytes(path.read_bytes() * 2)
        return 0

    job = environment.ran(copies)
    assert job["ProcessingJobStatus"] == "Completed"
    assert environment.sent() == {f"{number}.txt": str(number).encode() * 2 for number in range(4)}


def test_output_folders_are_there_before_the_program_starts(environment: Environment) -> None:
    outputs = [output(), output("deep", path="/opt/ml/processing/a/b")]
    job = environment.ran(
        lambda program: 0 if folder(program, "a/b").is_dir() else 1, ProcessingOutputConfig={"Outputs": outputs}
    )
    assert job["ProcessingJobStatus"] == "Completed"


def test_each_object_goes_to_one_host_when_sharded(environment: Environment) -> None:
    def names(program: FakeProgram) -> int:
        found = sorted(path.name for path in folder(program, "input").iterdir())
        (folder(program, "output") / f"{program.spec.host}.txt").write_text(" ".join(found))
        return 0

    sharded = [source(S3DataDistributionType="ShardedByS3Key")]
    environment.ran(names, ProcessingInputs=sharded, **cluster(InstanceCount=2))
    assert environment.sent() == {"algo-1.txt": b"0.txt 2.txt", "algo-2.txt": b"1.txt 3.txt"}


def test_a_manifest_names_the_objects(environment: Environment) -> None:
    manifest = b'[{"prefix": "s3://bucket/train/"}, "1.txt", "3.txt"]'
    environment.account.objects["s3://bucket/some.manifest"] = manifest
    listed = [source(uri="s3://bucket/some.manifest", S3DataType="ManifestFile")]
    found: list[str] = []

    def look(program: FakeProgram) -> int:
        found.extend(path.name for path in folder(program, "input").iterdir())
        return 0

    environment.ran(look, ProcessingInputs=listed)
    assert sorted(found) == ["1.txt", "3.txt"]


def test_an_isolated_job_is_so(environment: Environment) -> None:
    environment.ran(lambda _: 0, NetworkConfig={"EnableNetworkIsolation": True})
    (spec,) = environment.runtime.started
    assert spec.isolated


def test_links_are_not_followed(environment: Environment) -> None:
    def links(program: FakeProgram) -> int:
        (folder(program, "output") / "file").write_text("kept")
        (folder(program, "output") / "link").symlink_to("file")
        (folder(program, "output") / "out").symlink_to("/etc")
        return 0

    environment.ran(links)
    assert environment.sent() == {"file": b"kept"}


def test_a_continuous_output_goes_out_while_the_job_runs(environment: Environment) -> None:
    def slow(program: FakeProgram) -> int:
        (folder(program, "output") / "first").write_text("early")
        program.handles_sigterm = True
        program.say("ready")
        while not program.sleep(30):
            pass
        (folder(program, "output") / "second").write_text("late")
        return 0

    live = {"Outputs": [output(S3UploadMode="Continuous")]}
    environment.create(slow, ProcessingOutputConfig=live)
    environment.ready()
    environment.clock.now += PERIOD_S
    until(lambda: environment.sent() == {"first": b"early"}, "the first file")
    environment.jobs.stop(SCOPE, {"ProcessingJobName": "job"})
    assert environment.ended()["ProcessingJobStatus"] == "Stopped"
    assert environment.sent() == {"first": b"early", "second": b"late"}


def test_a_job_that_fails_sends_no_output_of_the_end(environment: Environment) -> None:
    def fails(program: FakeProgram) -> int:
        writes("half")(program)
        return 3

    job = environment.ran(fails)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 3"
    assert environment.sent() == {}


def test_the_first_failure_of_several_hosts_is_named(environment: Environment) -> None:
    def second_fails(program: FakeProgram) -> int:
        if program.spec.host == "algo-2":
            return 4
        while True:
            program.sleep(30)

    job = environment.ran(second_fails, **cluster(InstanceCount=2))
    assert job["FailureReason"] == "AlgorithmError: algo-2: See job logs for more information, exit code: 4"


@pytest.mark.parametrize("code", [0, 1])
def test_the_message_of_the_container_is_kept_however_it_ends(environment: Environment, code: int) -> None:
    job = environment.ran(says("five rows lost, été".encode(), code))
    assert job["ExitMessage"] == "five rows lost, été"
    (summary,) = environment.jobs.list(SCOPE, {})["ProcessingJobSummaries"]
    assert summary["ExitMessage"] == "five rows lost, été"


def test_a_long_message_is_cut_between_characters(environment: Environment) -> None:
    job = environment.ran(says(b"a" + "é".encode() * 600))
    assert job["ExitMessage"] == "a" + "é" * 511


def test_a_message_that_is_not_utf_8_fails_the_job(environment: Environment) -> None:
    job = environment.ran(says(b"\xff\xfe"))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: The message of the container")


def test_the_messages_of_several_hosts_are_joined(environment: Environment) -> None:
    def tells(program: FakeProgram) -> int:
        return says(program.spec.host.encode())(program)

    assert environment.ran(tells, **cluster(InstanceCount=2))["ExitMessage"] == "algo-1\nalgo-2"


def test_nothing_under_the_prefix_is_refused_at_create(environment: Environment) -> None:
    with pytest.raises(Exception, match="No S3 objects found"):
        environment.create(lambda _: 0, ProcessingInputs=[source(uri="s3://bucket/none")])


def test_what_is_said_of_a_job_that_is_not_there_and_of_a_name_that_is_taken(environment: Environment) -> None:
    with pytest.raises(ApiError) as caught:
        environment.describe()
    assert (caught.value.code, caught.value.message) == (
        "ValidationException",
        "Could not find requested job with name: job",
    )
    with pytest.raises(ApiError, match=r"^ValidationException: Could not find job to update with name: job$"):
        environment.jobs.stop(SCOPE, {"ProcessingJobName": "job"})
    environment.ran(lambda _: 0)
    with pytest.raises(ApiError) as caught:
        environment.create(lambda _: 0)
    assert (caught.value.code, caught.value.message) == (
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        "(arn:aws:sagemaker:eu-west-1:123456789012:processing-job/job)",
    )


def test_its_logs_are_in_the_group_and_stream_of_awss(environment: Environment) -> None:
    environment.ran(says(b""), **cluster(InstanceCount=2))
    streams = [f"job/algo-{number}-1800000000" for number in (1, 2)]
    assert sorted(environment.logs.lines) == [("/aws/sagemaker/ProcessingJobs", stream) for stream in streams]


def test_what_is_always_answered(environment: Environment) -> None:
    job = environment.ran(lambda _: 0, Environment={"A": "1"})
    assert job["ProcessingInputs"][0]["AppManaged"] is False
    assert job["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] is False
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert not {"NetworkConfig", "KmsKeyId", "ExperimentConfig"} & job.keys()
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]


def test_the_environment_of_the_request_reaches_the_program(environment: Environment) -> None:
    environment.ran(lambda program: 0 if program.spec.environment["A"] == "1" else 1, Environment={"A": "1"})
    assert environment.describe()["ProcessingJobStatus"] == "Completed"


def test_a_time_limit_stops_the_job(environment: Environment) -> None:
    def waits(program: FakeProgram) -> int:
        program.say("ready")
        while not program.sleep(30):
            pass
        return 0

    environment.create(waits, StoppingCondition={"MaxRuntimeInSeconds": 60})
    environment.ready()
    environment.clock.now += 60
    assert environment.ended()["ProcessingJobStatus"] == "Stopped"
