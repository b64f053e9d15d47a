"""Transform jobs over the fake runtime, whose containers are real servers on loopback."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import MODEL
from stagemaker.core.refs import Ref
from stagemaker.hosting.models import Models
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.runtime.fake import FakeProgram
from stagemaker.transform import container
from stagemaker.transform.plan import TransformPlan
from stagemaker.transform.run import LOG_GROUP, NO_PING, SEE_LOGS
from stagemaker.transform.transform import Transform
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.jobs.jobs_environment import JobsEnvironment
from tests.unit.plugin.polling import until
from tests.unit.plugin.transform.transform_requests import request, transform_input, transform_output

LINES = b"".join(f"{number},row\n".encode() for number in range(40))


class Model:
    """A container's server that answers with what it got in upper case. `seen` are the requests of all of them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.failures = 0  # how many more requests are answered with 500
        self.parameters: dict[str, Any] | None = None
        self.hold = threading.Event()  # set: requests wait until it is cleared, or the server ends
        self.asked = threading.Event()

    def wait_while_held(self, over: threading.Event) -> None:
        while self.hold.is_set() and not over.wait(0.01):
            pass

    def __call__(self, program: FakeProgram) -> int:
        assert program.address
        model, over = self, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                if self.path == "/execution-parameters":
                    known = model.parameters is not None
                    self.answer(200 if known else 404, json.dumps(model.parameters).encode())
                else:
                    self.answer(200, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                model.seen.append((program.spec.name, dict(self.headers), body))
                model.asked.set()
                model.wait_while_held(over)
                if b"hang up" in body:
                    self.close_connection = True
                elif b"bad" in body:
                    self.answer(400, b"no")
                elif model.failures > 0:
                    model.failures -= 1
                    self.answer(500, b"later")
                else:
                    self.answer(200, body.upper())

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        with Server(program.address, Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            try:
                while not program.sleep(30):
                    pass
            finally:
                over.set()
                server.shutdown()
        return 0


class Environment(JobsEnvironment):
    """Transform jobs of a model "model", whose containers are `model`."""

    def __init__(self, folder: Path) -> None:
        self.model = Model()
        objects = {"s3://bucket/in/a.csv": b"one\ntwo\n", "s3://bucket/in/deep/b.csv": b"three\n"}
        super().__init__(folder, {"program": self.model}, objects)
        self.jobs: Jobs[TransformPlan] = Jobs(Transform(), self.context)
        models = Models(self.store, self.runtime, self.account, self.clock)
        container = {"Image": "stagemaker/program:1", "Environment": {"OF": "model"}}
        models.create_model(SCOPE, {"ModelName": "model", "PrimaryContainer": container, "ExecutionRoleArn": ROLE})

    def create(self, **changes: Any) -> None:
        self.jobs.create(SCOPE, request(**changes))

    def describe(self) -> dict[str, Any]:
        return self.jobs.describe(SCOPE, {"TransformJobName": "job"})

    def ran(self, **changes: Any) -> dict[str, Any]:
        self.create(**changes)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        until(lambda: self.describe()["TransformJobStatus"] in ENDED, "the end")
        return self.describe()

    def answers(self) -> dict[str, bytes]:
        prefix = "s3://bucket/out/"
        return {uri.removeprefix(prefix): data for uri, data in self.account.objects.items() if uri.startswith(prefix)}

    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.model.seen]

    def data_log(self) -> list[str]:
        return [
            line for (_, stream), lines in self.logs.lines.items() if stream.endswith("/data-log") for line in lines
        ]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """Closed afterwards; nothing is left of it."""
    monkeypatch.setattr(container, "PARAMETERS_S", 60.0)  # not the 2 s, which a busy machine may need
    made = Environment(tmp_path)
    yield made
    made.close()


def test_each_object_is_answered_by_an_object(environment: Environment) -> None:
    job = environment.ran()
    assert job["TransformJobStatus"] == "Completed"
    assert environment.answers() == {"a.csv.out": b"ONE\nTWO\n", "deep/b.csv.out": b"THREE\n"}
    assert environment.bodies() == [b"one\ntwo\n", b"three\n"]
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert "LastModifiedTime" not in job


def test_a_manifest_names_the_objects(environment: Environment) -> None:
    environment.account.objects["s3://bucket/some.manifest"] = b'[{"prefix": "s3://bucket/in/"}, "deep/b.csv"]'
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/some.manifest"}
    job = environment.ran(TransformInput={"DataSource": {"S3DataSource": source}})
    assert job["TransformJobStatus"] == "Completed"
    assert environment.answers() == {"deep/b.csv.out": b"THREE\n"}


def test_headers_and_environment_of_the_container(environment: Environment) -> None:
    environment.ran(
        Environment={"MINE": "1"}, **transform_input(ContentType="text/csv"), **transform_output(Accept="text/csv")
    )
    (spec,) = environment.runtime.started
    assert spec.environment.items() >= {"OF": "model", "MINE": "1", "SAGEMAKER_BATCH": "true"}.items()
    assert "SAGEMAKER_BATCH_STRATEGY" not in spec.environment
    _, headers, _ = environment.model.seen[0]
    assert (headers["Content-Type"], headers["Accept"]) == ("text/csv", "text/csv")


def test_each_line_is_asked_alone_and_the_order_kept(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = LINES
    environment.ran(
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=8,
        **transform_input("s3://bucket/in/a.csv", SplitType="Line"),
        **transform_output(AssembleWith="Line"),
    )
    assert sorted(environment.bodies()) == sorted(LINES.splitlines())
    assert environment.answers() == {"a.csv.out": LINES.upper()}


def test_lines_that_fit_go_together(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = LINES
    environment.ran(**transform_input("s3://bucket/in/a.csv", SplitType="Line"))
    assert environment.bodies() == [LINES.removesuffix(b"\n")]
    assert environment.answers() == {"a.csv.out": LINES.upper().removesuffix(b"\n")}


def test_the_container_says_what_the_request_does_not(environment: Environment) -> None:
    environment.model.parameters = {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 3,
    }
    environment.ran(**transform_input("s3://bucket/in/a.csv", SplitType="Line"))
    assert sorted(environment.bodies()) == [b"one", b"two"]  # at once
    (line,) = environment.data_log()
    assert line == (
        "2027-01-15T08:00:00.000:[sagemaker logs]: MaxConcurrentTransforms=4, MaxPayloadInMB=3, "
        "BatchStrategy=SINGLE_RECORD"
    )


@pytest.mark.parametrize("parameters", [{"MaxPayloadInMB": "many"}, {"MaxPayloadInMB": True}, [1], None])
def test_parameters_that_say_nothing_leave_the_defaults(environment: Environment, parameters: Any) -> None:
    environment.model.parameters = parameters
    environment.ran()
    assert environment.data_log()[0].endswith("MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD")


def test_objects_are_spread_over_instances(environment: Environment) -> None:
    environment.account.objects |= {f"s3://bucket/in/{number}": b"x" for number in range(6)}
    environment.ran(TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    assert len(environment.runtime.started) == 2
    by_container = [name for name, _, _ in environment.model.seen]
    assert sorted(by_container.count(name) for name in set(by_container)) == [4, 4]
    streams = [stream for group, stream in environment.logs.lines if group == LOG_GROUP and "data-log" not in stream]
    assert all(stream.startswith("job/i-") and stream.endswith("-1800000000") for stream in streams)
    assert {group for group, _ in environment.logs.lines} == {"/aws/sagemaker/TransformJobs"}


def test_records_and_answers_are_joined(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = b"id1,one\nid2,two\n"
    environment.ran(
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        **transform_input("s3://bucket/in/a.csv", SplitType="Line", ContentType="text/csv"),
        **transform_output(AssembleWith="Line", Accept="text/csv"),
    )
    assert environment.bodies() == [b"one\ntwo"]
    assert environment.answers() == {"a.csv.out": b"id1,ONE\nid2,TWO\n"}


def test_packed_objects_are_unpacked(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = gzip.compress(b"one\ntwo\n")
    environment.ran(**transform_input("s3://bucket/in/a.csv", SplitType="Line", CompressionType="Gzip"))
    assert environment.bodies() == [b"one\ntwo"]


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b"one\ntwo\n", mtime=0)[:-9]])
def test_an_object_that_is_not_gzip_fails(environment: Environment, data: bytes) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = data
    job = environment.ran(**transform_input("s3://bucket/in/a.csv", CompressionType="Gzip"))
    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", SEE_LOGS)
    assert "bucket/in/a.csv: the object is not gzip" in environment.data_log()[-1]


def test_one_bad_object_fails_the_job_and_the_others_are_kept(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = b"bad"
    job = environment.ran()
    assert (job["TransformJobStatus"], job["FailureReason"]) == ("Failed", SEE_LOGS)
    assert environment.answers() == {"deep/b.csv.out": b"THREE\n"}
    assert environment.bodies().count(b"bad") == 1  # the caller's fault is not sent again
    assert environment.data_log()[-1].endswith("bucket/in/a.csv: Bad HTTP status received from algorithm: 400")


def test_a_server_s_fault_is_asked_again(environment: Environment) -> None:
    environment.model.failures = 3
    assert environment.ran(**transform_input("s3://bucket/in/a.csv"))["TransformJobStatus"] == "Completed"
    assert len(environment.bodies()) == 4


def test_but_not_for_ever(environment: Environment) -> None:
    environment.model.failures = 2
    job = environment.ran(ModelClientConfig={"InvocationsMaxRetries": 1}, **transform_input("s3://bucket/in/a.csv"))
    assert job["TransformJobStatus"] == "Failed"
    assert len(environment.bodies()) == 2


def test_a_container_that_hangs_up(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = b"hang up"
    job = environment.ran(ModelClientConfig={"InvocationsMaxRetries": 1}, **transform_input("s3://bucket/in/a.csv"))
    assert job["TransformJobStatus"] == "Failed"
    assert "bucket/in/a.csv: Unable to get response from algorithm" in environment.data_log()[-1]


def test_a_record_over_the_limit_fails_its_object(environment: Environment) -> None:
    environment.account.objects["s3://bucket/in/a.csv"] = bytes((1 << 20) + 1)
    assert environment.ran(MaxPayloadInMB=1)["TransformJobStatus"] == "Failed"
    assert environment.bodies() == [b"three\n"]


def test_a_stopped_job_waits_for_no_answer_and_stores_nothing(environment: Environment) -> None:
    environment.model.hold.set()
    environment.create()
    assert environment.model.asked.wait(20)
    environment.jobs.stop(SCOPE, {"TransformJobName": "job"})
    assert environment.ended()["TransformJobStatus"] == "Stopped"
    assert environment.answers() == {}


def test_a_container_that_ends_before_it_serves(environment: Environment) -> None:
    environment.runtime.behaviours["program"] = lambda _: 3
    job = environment.ran()
    assert job["FailureReason"].startswith(NO_PING)
    assert "exit code 3" in job["FailureReason"]
    assert "TransformStartTime" not in job


def test_the_end_of_the_stage_ends_it_at_once(environment: Environment) -> None:
    environment.model.hold.set()
    environment.create()
    assert environment.model.asked.wait(20)
    environment.supervisor.close()
    assert environment.describe()["FailureReason"] == "InternalServerError: LocalStack was shut down."


def test_a_model_that_is_not_there(environment: Environment) -> None:
    with pytest.raises(ApiError) as caught:
        environment.create(ModelName="none")
    assert caught.value.message == f'Could not find model "{Ref(SCOPE, MODEL, "none").arn}".'


def test_what_is_said_of_a_job_that_is_not_there_and_of_a_name_that_is_taken(environment: Environment) -> None:
    with pytest.raises(ApiError) as caught:
        environment.describe()
    assert (caught.value.code, caught.value.message) == (
        "ValidationException",
        "Could not find requested job with name: job",
    )
    with pytest.raises(ApiError, match=r"^ValidationException: Could not find job to update with name: job$"):
        environment.jobs.stop(SCOPE, {"TransformJobName": "job"})
    environment.ran()
    with pytest.raises(ApiError) as caught:
        environment.create()
    assert (caught.value.code, caught.value.message) == (
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        "(arn:aws:sagemaker:eu-west-1:123456789012:transform-job/job)",
    )
    with pytest.raises(ApiError, match=r"rejected because the transform job is in status Completed\.$"):
        environment.jobs.stop(SCOPE, {"TransformJobName": "job"})


def test_what_is_always_answered(environment: Environment) -> None:
    job = environment.ran()
    assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert job["TransformInput"]["SplitType"] == job["TransformOutput"]["AssembleWith"] == "None"
    assert job["TransformOutput"]["KmsKeyId"] == ""


def test_it_has_no_delete() -> None:
    assert not Transform.can_be_deleted


def test_a_multi_model_container_is_refused_by_name(environment: Environment) -> None:
    ref = Ref(SCOPE, MODEL, "model")
    record = environment.store.get(ref)
    assert record
    container = {**record["PrimaryContainer"], "Mode": "MultiModel"}
    environment.store.put(ref, {**record, "PrimaryContainer": container})
    with pytest.raises(ApiError, match="multi-model") as error:
        environment.create()
    assert error.value.status == 501


def test_all_that_a_job_does_under_its_role_is_done_in_the_subnet_of_its_model(environment: Environment) -> None:
    container = {"Image": "stagemaker/program:1", "Environment": {"OF": "model"}}
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    inside = {"ModelName": "inside", "PrimaryContainer": container, "ExecutionRoleArn": ROLE, "VpcConfig": vpc}
    Models(environment.store, environment.runtime, environment.account, environment.clock).create_model(SCOPE, inside)
    environment.account.subnets.clear()
    assert environment.ran(ModelName="inside")["TransformJobStatus"] == "Completed"
    assert environment.account.subnets == {"subnet-1"}


def test_a_request_goes_through_all_containers_of_a_pipeline(environment: Environment) -> None:
    containers = [{"Image": "stagemaker/program:1", "Environment": {"OF": name}} for name in ("one", "two")]
    pipeline = {"ModelName": "pipeline", "Containers": containers, "ExecutionRoleArn": ROLE}
    Models(environment.store, environment.runtime, environment.account, environment.clock).create_model(SCOPE, pipeline)
    assert environment.ran(ModelName="pipeline", Environment={"MORE": "1"})["TransformJobStatus"] == "Completed"
    assert environment.answers() == {"a.csv.out": b"ONE\nTWO\n", "deep/b.csv.out": b"THREE\n"}
    assert environment.bodies() == [b"one\ntwo\n", b"ONE\nTWO\n", b"three\n", b"THREE\n"]
    names = [name.rpartition("-container-")[2] for name, _, _ in environment.model.seen]
    assert names == ["1", "2", "1", "2"]
    specs = environment.runtime.started
    assert [(spec.environment["OF"], spec.environment["MORE"]) for spec in specs] == [("one", "1"), ("two", "1")]
    streams = {stream.rpartition("/")[2] for group, stream in environment.logs.lines if group == LOG_GROUP}
    assert {"container-1", "container-2", "data-log"} <= streams


def test_an_error_of_any_container_of_a_pipeline_is_the_object_s(environment: Environment) -> None:
    containers = [{"Image": "stagemaker/program:1"}] * 2
    pipeline = {"ModelName": "pipeline", "Containers": containers, "ExecutionRoleArn": ROLE}
    Models(environment.store, environment.runtime, environment.account, environment.clock).create_model(SCOPE, pipeline)
    environment.account.objects["s3://bucket/in/a.csv"] = b"bad"
    environment.ran(ModelName="pipeline")
    assert environment.data_log()[-1].endswith("bucket/in/a.csv: Bad HTTP status received from algorithm: 400")
    assert environment.bodies() == [b"bad", b"three\n", b"THREE\n"]


def test_a_model_for_direct_invocation_is_refused_by_name(environment: Environment) -> None:
    containers = [{"Image": "stagemaker/program:1", "ContainerHostname": name} for name in ("a", "b")]
    direct = {"ModelName": "direct", "Containers": containers, "InferenceExecutionConfig": {"Mode": "Direct"}}
    models = Models(environment.store, environment.runtime, environment.account, environment.clock)
    models.create_model(SCOPE, {**direct, "ExecutionRoleArn": ROLE})
    with pytest.raises(ApiError, match="direct invocation") as error:
        environment.create(ModelName="direct")
    assert error.value.status == 501
