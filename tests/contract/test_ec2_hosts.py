"""EC2 instances whose host is a container of the real engine: what AWS says of them is run here."""

import base64
import gzip
import json
from collections.abc import Iterator
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.ec2_stack import Ec2Stack, ec2_stack, inside
from tests.contract.gateway import Gateway, until
from tests.contract.users import make_user
from tests.interruptions import ROOT, interrupt

GPU_AMI = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
TEMPLATE = "trainer"
# What a host asks its metadata service; `m` is a path below meta-data.
ASK = """#!/bin/bash
http=http://169.254.169.254/latest
echo "without-token=$(curl -s -o /dev/null -w '%{http_code}' $http/meta-data/instance-id)"
echo "forwarded=$(curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'X-Forwarded-For: 1' \
    -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $http/api/token)"
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' $http/api/token)
m() { curl -s -H "X-aws-ec2-metadata-token: $token" "$http/$1"; }
for name in instance-id instance-type ami-id instance-life-cycle placement/region placement/availability-zone \
    local-ipv4 tags/instance/Name iam/security-credentials/; do
    echo "$name=$(m meta-data/$name)"
done
echo "document=$(m dynamic/instance-identity/document | jq -r .imageId)"
echo "profile=$(m meta-data/iam/info | jq -r .InstanceProfileArn)"
echo "notice=$(curl -s -o /dev/null -w '%{http_code}' -H "X-aws-ec2-metadata-token: $token" \
    $http/meta-data/spot/instance-action)"
echo "caller=$(aws sts get-caller-identity --region us-east-1 --query Arn --output text)"
aws s3api list-buckets --region us-east-1 2>&1 | grep -o 'not authorized to perform: [^ ]*'
echo asked
while notice=$(m meta-data/spot/instance-action); ! echo "$notice" | grep action; do sleep 0.2; done
"""
# A container of the host's own files, without a registry.
CONTAINER = """#!/bin/bash
programs="/bin/sh $(command -v cat) $(command -v curl) $(command -v id)"
libraries=$(ldd $programs | grep -o '/[^ ]*' | grep -v : | sort -u)
tar cPhf - --hard-dereference $programs $libraries | docker import - tiny > /dev/null 2>&1
docker run --rm tiny /bin/sh -c 'echo "in a container: $$ $(id -u) $AWS_ENDPOINT_URL"'
docker run --rm -v /root:/opt/ml tiny /bin/sh -c 'echo kept > /opt/ml/model'; echo "model: $(cat /root/model)"
put='curl -s -m 5 -o /dev/null -w %{http_code} -X PUT -H X-aws-ec2-metadata-token-ttl-seconds:60'
echo "from the host: $($put http://169.254.169.254/latest/api/token)"
echo "from a container: $(docker run --rm tiny $put http://169.254.169.254/latest/api/token)"
(echo core > /proc/sys/kernel/core_pattern) 2>/dev/null || echo "no root of the machine: $(xargs < /proc/self/uid_map)"
[ ! -S /var/run/docker.sock ] && echo "no engine's socket"
echo end
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Stack]:
    """With an instance that still runs when LocalStack ends."""
    with ec2_stack(tmp_path_factory.mktemp("ec2")) as made:
        left = made.run("#!/bin/sh\necho runs on\nsleep 1000\n")
        yield made
        made.says(left, "runs on")
        made.localstack.stop()
        assert made.hosts() == []


def test_a_host_runs_its_user_data_once_and_shuts_itself_down(stack: Ec2Stack) -> None:
    script = "#!/bin/bash\necho hello $(hostname)\ncat /var/log/cloud-init-output.log > /root/log\nshutdown -h now\n"
    instance = stack.run(script)
    record = stack.wait(instance, "stopped")
    assert record["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert record["State"]["Code"] == 80
    assert f"hello {record['PrivateDnsName'].partition('.')[0]}" in stack.console(instance)
    assert stack.ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"] == []
    started = stack.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]
    assert (started["PreviousState"]["Name"], started["CurrentState"]["Name"]) == ("stopped", "pending")
    stack.ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    until(lambda: stack.console(instance).count("host: boots"), lambda found: found == 2)
    stopped = stack.ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (stopped["PreviousState"]["Name"], stopped["CurrentState"]["Name"]) == ("running", "stopping")
    record = stack.wait(instance, "stopped")
    assert record["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert record["StateTransitionReason"].startswith("User initiated (")
    assert stack.console(instance).count("hello") == 1
    stack.ec2.terminate_instances(InstanceIds=[instance])
    stack.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        stack.ec2.start_instances(InstanceIds=[instance])


def test_a_spot_instance_of_a_launch_template_asks_its_metadata_service_until_it_is_interrupted(
    stack: Ec2Stack,
) -> None:
    name = stack.profile("asker")
    ami = stack.ssm.get_parameter(Name=GPU_AMI)["Parameter"]["Value"]
    assert stack.ec2.describe_images(ImageIds=[ami])["Images"][0]["Name"].startswith("Deep Learning Base OSS Nvidia")
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"}
    data = {
        "ImageId": ami,
        "InstanceType": "g4dn.xlarge",
        "IamInstanceProfile": {"Name": name},
        "UserData": base64.b64encode(ASK.encode()).decode(),
        "MetadataOptions": options,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "InstanceMarketOptions": {"MarketType": "spot"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "asker"}]}],
    }
    stack.ec2.create_launch_template(LaunchTemplateName=TEMPLATE, LaunchTemplateData=data)
    request = {"MinCount": 1, "MaxCount": 1, "ClientToken": "once", "LaunchTemplate": {"LaunchTemplateName": TEMPLATE}}
    made = [stack.ec2.run_instances(**request)["Instances"][0]["InstanceId"] for _ in range(2)]
    assert made[0] == made[1]  # by the token
    instance = made[0]
    console = stack.says(instance, "asked")
    record = stack.describe(instance)
    told = dict(line.split("=", 1) for line in console.splitlines() if "=" in line)
    role = f"arn:aws:sts::000000000000:assumed-role/{name}/{instance}"
    profile = stack.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    assert told == {
        "without-token": "401",
        "forwarded": "403",
        "instance-id": instance,
        "instance-type": "g4dn.xlarge",
        "ami-id": ami,
        "instance-life-cycle": "spot",
        "placement/region": "us-east-1",
        "placement/availability-zone": record["Placement"]["AvailabilityZone"],
        "local-ipv4": record["PrivateIpAddress"],
        "tags/instance/Name": "asker",
        "iam/security-credentials/": name,
        "document": ami,
        "profile": profile,
        "notice": "404",
        "caller": role,
    }
    assert "not authorized to perform: s3:ListAllMyBuckets" in console
    assert record["InstanceLifecycle"] == "spot"
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*one-time Spot"):
        stack.ec2.stop_instances(InstanceIds=[instance])
    assert _interrupt(stack, instance, keys=None) == 403
    assert _interrupt(stack, instance) == 202
    stack.says(instance, '"action": "terminate"')
    record = stack.wait(instance, "terminated")
    assert record["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert "IamInstanceProfile" not in record


def _interrupt(stack: Ec2Stack, instance: str, keys: tuple[str, str] | None = ROOT) -> int:
    body = json.dumps({"InstanceId": instance}).encode()
    return interrupt(stack.localstack.endpoint, body, "ec2", keys)[0]


def test_a_host_runs_containers_and_is_not_root_of_the_machine(stack: Ec2Stack) -> None:
    instance = stack.run(CONTAINER)  # hop limit 1
    console = stack.says(instance, "end\r\n")
    assert "in a container: 1 0 http://" in console
    assert "model: kept" in console
    assert "from the host: 200" in console
    assert "from a container: 000" in console
    assert "no root of the machine: 0 100000 65536" in console
    assert "no engine's socket" in console
    stack.ec2.terminate_instances(InstanceIds=[instance])
    stack.wait(instance, "terminated")


def test_user_data_is_mime_in_gzip_with_cloud_config(stack: Ec2Stack) -> None:
    config = """#cloud-config
packages: [htop]
write_files:
- {path: /opt/written, content: aGVsbG8=, encoding: b64, permissions: '0600'}
runcmd:
- [sh, -c, 'echo ran; stat -c %a:%U /opt/written; cat /opt/written; echo']
"""
    whole = MIMEMultipart()
    whole.attach(MIMEText(config, "cloud-config"))
    whole.attach(MIMEText("#!/bin/sh\necho a script as $(id -un)\nfalse\n", "x-shellscript"))
    instance = stack.run(gzip.compress(whole.as_bytes()))
    lines = stack.says(instance, "Cloud-init finished").splitlines()
    wanted = [
        "Stagemaker: cloud-config: packages is not done on this host.",
        "ran",
        "600:root",
        "hello",
        "a script as root",
    ]
    assert [line for line in lines if line in wanted] == wanted
    assert any(line.startswith("Failed to run ") and line.endswith(" it ended with 1") for line in lines)
    stack.ec2.reboot_instances(InstanceIds=[instance])
    console = str(until(lambda: stack.console(instance), lambda found: found.count("host: boots") == 2))
    assert console.count("a script as root") == 1
    stack.ec2.terminate_instances(InstanceIds=[instance])


def test_the_host_s_container_has_no_privilege(stack: Ec2Stack) -> None:
    instance = stack.run("#!/bin/sh\necho up\n", InstanceInitiatedShutdownBehavior="terminate")
    stack.says(instance, "up")
    container = next(one for one in stack.hosts() if instance in _inspect(one)["Name"])
    found = _inspect(container)["HostConfig"]
    assert (found["Privileged"], found["CapDrop"], found["Devices"]) == (False, ["ALL"], None)
    assert not {"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "MKNOD"} & set(found["CapAdd"])
    assert "no-new-privileges" in found["SecurityOpt"]
    assert [mount["Type"] for mount in _inspect(container)["Mounts"]] == ["volume"]
    assert "docker.sock" not in inside(container, "cat", "/proc/mounts")
    stack.ec2.terminate_instances(InstanceIds=[instance])
    stack.wait(instance, "terminated")
    until(stack.hosts, lambda found: container not in found)


def _inspect(container: str) -> dict[str, Any]:
    from stagemaker.runtime.docker.engine import Engine
    from tests.contract.docker_image import docker_url

    return Engine(docker_url()).inspect(container)


@pytest.mark.parametrize(
    ("request_of", "error"),
    [
        ({"ImageId": "ami-03cf127a"}, "UnsupportedOperation.*cannot be run here.*al2023-ami-kernel-default-x86_64"),
        ({"ImageId": "ami-00000000"}, "InvalidAMIID.NotFound"),
        ({"UserData": "#" * 16_385}, "InvalidParameterValue.*User data is limited to 16384 bytes"),
    ],
)
def test_what_no_host_can_be_is_refused(stack: Ec2Stack, request_of: dict[str, str], error: str) -> None:
    with pytest.raises(ClientError, match=error):
        stack.run(**request_of)


def test_a_profile_that_there_is_not_is_refused_in_aws_s_words(stack: Ec2Stack) -> None:
    data = {"ImageId": stack.ami, "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": "nobody"}}
    stack.ec2.create_launch_template(LaunchTemplateName="nobody", LaunchTemplateData=data)
    words = r"Value \(nobody\) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    with pytest.raises(ClientError, match=words):
        stack.ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "nobody"})


def test_who_gives_a_host_its_role_must_be_allowed_to_pass_it(stack: Ec2Stack) -> None:
    name = stack.profile("passed")
    user = make_user(Gateway(stack.localstack), {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
    ec2 = user.client("ec2")
    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*iam:PassRole"):
        ec2.run_instances(ImageId=stack.ami, MinCount=1, MaxCount=1, IamInstanceProfile={"Name": name})


def test_without_docker_an_instance_is_refused_with_the_next_step(gateway: Gateway) -> None:
    ec2 = gateway.client("ec2")
    with pytest.raises(ClientError, match=r"UnsupportedOperation.*host is a container.*run the stack in containers"):
        ec2.run_instances(ImageId="ami-03cf127a", MinCount=1, MaxCount=1)
