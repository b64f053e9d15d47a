"""The user data of the EC2 host: the values of a run, and below them host.sh, which does the work.

Pure, but for host.sh, which is read once.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST_SCRIPT = (Path(__file__).parent / "host.sh").read_text()
MAX_BYTES = 16 << 10  # of user data before base64; AWS's
POLL_S = 5.0  # how often the host asks for a spot notice: as often as AWS advises
SCRIPT = "/opt/stagemaker/containers/trainer/train_on_host.py"
# The five people's own way: one plain script, which writes TrainedModels/model.pth. It runs in the trainer's image,
# since no AMI has the packages that the model's code is tested with.
SCRIPT_COMMAND = (
    f"python {SCRIPT} --data /opt/ml/input/data --out /opt/ml/TrainedModels --model /opt/ml/model "
    "--checkpoints /opt/ml/checkpoints --hyperparameters /opt/ml/input/config/hyperparameters.json"
)


@dataclass(frozen=True)
class Run:
    """One training on an EC2 host. `name` stands for all that the weights depend on. `results` is the S3 URI below
    which the host writes, `image` the trainer by its digest; `channels` are S3 URIs by name."""

    name: str
    region: str
    results: str
    image: str
    instance_type: str
    limit_s: int
    script: bool
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, str]


def user_data(run: Run, base: str = "/opt/ml", log: str = "/var/log/stagemaker.log", poll_s: float = POLL_S) -> str:
    """The script that cloud-init runs once, as root, at the first boot. Raises ValueError where it is larger than AWS
    takes."""
    values = {
        "RUN": run.name,
        "REGION": run.region,
        "RESULTS": run.results,
        "IMAGE": run.image,
        "COMMAND": SCRIPT_COMMAND if run.script else "train",
        "LIMIT_S": str(run.limit_s),
        "CHANNELS": " ".join(f"{name}={uri}" for name, uri in run.channels.items()),
        "HYPERPARAMETERS": json.dumps(run.hyperparameters),
        "INPUT_DATA_CONFIG": json.dumps({name: _channel() for name in run.channels}),
        "RESOURCE_CONFIG": json.dumps(_resources(run.instance_type)),
        "BASE": base,
        "LOG": log,
        "POLL_S": f"{poll_s:g}",
    }
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    script = f"#!/bin/bash\n{text}{HOST_SCRIPT}"
    if (size := len(script.encode())) > MAX_BYTES:
        raise ValueError(f"The user data of the EC2 host has {size:,} bytes, and AWS takes {MAX_BYTES:,}.")
    return script


def _channel() -> dict[str, str]:
    """As SageMaker writes it for a channel in File mode."""
    return {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}


def _resources(instance_type: str) -> dict[str, Any]:
    """As SageMaker writes it for one instance, but for the type, which is EC2's."""
    group, hosts = "homogeneousCluster", ["algo-1"]
    return {
        "current_host": "algo-1",
        "current_instance_type": instance_type,
        "current_group_name": group,
        "hosts": hosts,
        "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": hosts}],
        "network_interface_name": "eth0",
    }
