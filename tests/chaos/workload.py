"""What the suite puts on a stack through AWS's own interfaces: an endpoint of two instances, a long job, a function."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.clients import Clients
from tests.chaos.load import Stream
from tests.chaos.programs import FUNCTION, IMAGE

NAME = "chaos"
BUCKET = "chaos"
ROLE = "arn:aws:iam::000000000000:role/chaos"
INSTANCES = 2
LONG_S = 120.0
STEADY_STEPS = 100_000  # of a tenth of a second: the job goes on until it is stopped
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}

_RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*", "cloudwatch:*", "sagemaker:*"], "Resource": "*"}],
}


def streams(rate_per_s: float, *, function: bool) -> tuple[Stream, ...]:
    """The calls of the load."""
    endpoint = Stream("endpoint", "sagemaker", f"/endpoints/{NAME}/invocations", rate_per_s)
    invoked = Stream("function", "lambda", f"/2015-03-31/functions/{NAME}/invocations", 1.0)
    return (endpoint, invoked) if function else (endpoint,)


def until[T](read: Callable[[], T], good: Callable[[T], bool], limit_s: float = LONG_S, what: str = "") -> T:
    """Reads until `good` accepts, and returns that. AssertionError with the last value after `limit_s`."""
    end_s = time.monotonic() + limit_s
    while not good(found := read()):
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {limit_s:.0f} s: {what or found}")
        time.sleep(0.1)
    return found


class Workload:
    """The resources on one stack, all called `chaos`, but for the jobs of experiments."""

    def __init__(self, clients: Clients, *, function: bool) -> None:
        self._clients, self._function = clients, function
        self.steady_job = ""

    def make(self) -> None:
        """Make all of them, and wait until they serve."""
        clients = self._clients
        clients.s3.create_bucket(Bucket=BUCKET)
        clients.iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(_TRUST))
        clients.iam.put_role_policy(RoleName=NAME, PolicyName="rights", PolicyDocument=json.dumps(_RIGHTS))
        clients.sagemaker.create_model(ModelName=NAME, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
        clients.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=self._make_config())
        if self._function:
            self._make_function()
        self.wait_in_service()
        self.start_steady_job()

    def make_endpoint_again(self) -> None:
        """Delete the endpoint, and make it anew. AssertionError when it does not serve then."""
        sagemaker = self._clients.sagemaker
        with suppress(ClientError):
            sagemaker.delete_endpoint(EndpointName=NAME)
        until(self.endpoint_status, lambda status: "Could not find" in status)
        config = self._make_config()
        sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=config)
        self.wait_in_service()

    def start_steady_job(self) -> None:
        """Start the job that goes on beside everything, and wait until its container runs."""
        self.steady_job = self.start_job("steady", steps=STEADY_STEPS)
        self.training(self.steady_job)

    def endpoint_status(self) -> str:
        """As DescribeEndpoint says, or why it says nothing."""
        try:
            return str(self._clients.sagemaker.describe_endpoint(EndpointName=NAME)["EndpointStatus"])
        except (ClientError, BotoCoreError) as error:
            return str(error)

    def in_service(self) -> bool:
        """Whether the endpoint is InService with all of its instances."""
        try:
            endpoint = self._clients.sagemaker.describe_endpoint(EndpointName=NAME)
        except (ClientError, BotoCoreError):
            return False
        variants = endpoint.get("ProductionVariants") or [{}]
        return (endpoint["EndpointStatus"], variants[0].get("CurrentInstanceCount")) == ("InService", INSTANCES)

    def wait_in_service(self, limit_s: float = LONG_S) -> None:
        """AssertionError after `limit_s`."""
        until(self.in_service, bool, limit_s, f"the endpoint is {self.endpoint_status()}")

    def renew(self) -> None:
        """Replace all instances by UpdateEndpoint: one that has been restarted often is given up."""
        config = self._make_config()
        self._clients.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=config)
        until(self.endpoint_status, lambda status: status != "Updating", LONG_S)
        self.wait_in_service()

    def start_job(
        self, name: str, *, hosts: int = 1, inputs: bool = False, limit_s: int = 1800, **wishes: object
    ) -> str:
        """Start a training job that does what programs.TRAIN does with these hyperparameters; its name."""
        unique = f"{NAME}-{name}-{uuid.uuid4().hex[:6]}"
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/input/"}}
        channels = {"InputDataConfig": [{"ChannelName": "train", "DataSource": source}]} if inputs else {}
        self._clients.sagemaker.create_training_job(
            TrainingJobName=unique,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=ROLE,
            HyperParameters={key: str(value) for key, value in wishes.items()},
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/{unique}"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": limit_s},
            **channels,
        )
        return unique

    def job(self, name: str) -> dict[str, Any]:
        """As DescribeTrainingJob says."""
        return dict(self._clients.sagemaker.describe_training_job(TrainingJobName=name))

    def job_status(self, name: str) -> str:
        """`InProgress`, or how it ended and why, or why nothing is said of it."""
        try:
            job = self.job(name)
        except (ClientError, BotoCoreError) as error:
            return str(error)
        return f"{job['TrainingJobStatus']} {job.get('FailureReason', '')}".strip()

    def training(self, name: str, limit_s: float = LONG_S) -> None:
        """Wait until the job's containers run. AssertionError when it ends before, or after `limit_s`."""
        job = until(
            lambda: self.job(name), lambda job: job["SecondaryStatus"] not in ("Starting", "Downloading"), limit_s
        )
        if job["SecondaryStatus"] != "Training":
            raise AssertionError(f"the job {name} is {job['SecondaryStatus']}: {job.get('FailureReason')}")

    def ended(self, name: str, limit_s: float = LONG_S) -> dict[str, Any]:
        """The job after its end. AssertionError after `limit_s`."""
        return until(
            lambda: self.job(name), lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"), limit_s
        )

    def stop_steady_job(self) -> str:
        """Stop the job that went on beside everything; its status after its end, as `job_status`."""
        with suppress(ClientError, BotoCoreError, AssertionError):  # its status says what has become of it
            self._clients.sagemaker.stop_training_job(TrainingJobName=self.steady_job)
            self.ended(self.steady_job)
        return self.job_status(self.steady_job)

    def checkpoints(self, job: str) -> list[str]:
        """The keys of the job's checkpoints in S3."""
        listed = self._clients.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"checkpoints/{job}/")
        return [found["Key"] for found in listed.get("Contents", [])]

    def put_input(self, size_bytes: int) -> None:
        """One object of that size, which jobs with `inputs` read."""
        self._clients.s3.put_object(Bucket=BUCKET, Key="input/data", Body=bytes(size_bytes))

    def log(self, job: str) -> list[str]:
        """The last lines of the job's log."""
        group = "/aws/sagemaker/TrainingJobs"
        logs = self._clients.logs
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], limit=200)[
                "events"
            ]
        ]

    def _make_config(self) -> str:
        """A new endpoint configuration; its name."""
        name = f"{NAME}-{uuid.uuid4().hex[:6]}"
        variant = {
            "VariantName": "all",
            "ModelName": NAME,
            "InitialInstanceCount": INSTANCES,
            "InstanceType": "ml.m5.large",
        }
        self._clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def _make_function(self) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("main.py", FUNCTION)
        self._clients.lambda_.create_function(
            FunctionName=NAME,
            Runtime="python3.13",
            Handler="main.handler",
            Role=ROLE,
            Timeout=30,
            Code={"ZipFile": packed.getvalue()},
        )
        read = self._clients.lambda_.get_function_configuration
        until(lambda: read(FunctionName=NAME)["State"], lambda state: state == "Active")
