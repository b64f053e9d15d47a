"""EC2 through boto3 on a real LocalStack that enforces IAM, with hosts in containers of the real engine."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract.docker_stage import docker_stage
from tests.contract.function_containers import running
from tests.contract.gateway import until
from tests.contract.localstack_process import LocalStack

AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip


class Ec2Stack:
    """A LocalStack, and what tests of hosts ask it. `gateway` is this machine's address on the hosts' network."""

    def __init__(self, localstack: LocalStack, network: str, gateway: str) -> None:
        self.localstack, self.network, self.gateway = localstack, network, gateway
        self.ec2, self.ssm = localstack.client("ec2"), localstack.client("ssm")
        self.iam, self.s3 = localstack.client("iam"), localstack.client("s3")
        self.ecr = localstack.client("ecr")
        self.ami: str = self.ssm.get_parameter(Name=AMI)["Parameter"]["Value"]

    def run(self, user_data: str | bytes = "", **more: Any) -> str:
        """RunInstances of one instance; its id."""
        request = {"ImageId": self.ami, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
        if user_data:
            request["UserData"] = user_data
        return str(self.ec2.run_instances(**request)["Instances"][0]["InstanceId"])

    def describe(self, instance_id: str) -> dict[str, Any]:
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        return dict(found)

    def state(self, instance_id: str) -> str:
        return str(self.describe(instance_id)["State"]["Name"])

    def wait(self, instance_id: str, state: str) -> dict[str, Any]:
        """Until it is in this state."""
        until(lambda: self.state(instance_id), lambda found: found == state)
        return self.describe(instance_id)

    def console(self, instance_id: str) -> str:
        """As boto3 gives it, which decodes it."""
        return str(self.ec2.get_console_output(InstanceId=instance_id).get("Output") or "")

    def says(self, instance_id: str, text: str) -> str:
        """Its console, once it has this text."""
        return str(until(lambda: self.console(instance_id), lambda found: text in found))

    def profile(self, name: str, *actions: str) -> str:
        """An instance profile with a role that may do these actions; its name."""
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        statement = {"Effect": "Allow", "Action": list(actions) or ["sts:GetCallerIdentity"], "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy)
        self.iam.create_instance_profile(InstanceProfileName=name)
        self.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return name

    def hosts(self) -> list[str]:
        """The containers of the stack."""
        return running(self.network)


@contextmanager
def ec2_stack(folder: Path, **environment: str) -> Iterator[Ec2Stack]:
    """On a network of its own. What `environment` says wins."""
    with docker_stage(folder, **{"STAGEMAKER_TIME_COMPRESSION": "60", **environment}) as (localstack, name, gateway):
        yield Ec2Stack(localstack, name, gateway)


def inside(container: str, *command: str) -> str:
    """What a program of the container, beside the host, prints."""
    done = subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=True)
    return done.stdout
