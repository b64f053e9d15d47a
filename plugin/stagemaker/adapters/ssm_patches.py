"""Systems Manager's public parameters of the AMIs that are real here, which moto does not have."""

from typing import Any

from moto.ssm.models import Parameter, ParameterDict

from stagemaker.adapters.patches import Patch
from stagemaker.app import App
from stagemaker.ec2.amis import PARAMETERS, deep_learning_amis


def _check_loading_status(_app: App, original: Any) -> Any:
    def check(self: ParameterDict, key: str) -> None:
        original(self, key)
        if str(key or "").startswith(PARAMETERS.rstrip("/")):
            for ami in deep_learning_amis(self.region_name):
                if not dict.__contains__(self, ami.parameter):
                    dict.__setitem__(self, ami.parameter, [_parameter(self, ami.parameter, ami.id)])

    return check


def _parameter(parameters: ParameterDict, name: str, value: str) -> Parameter:
    return Parameter(  # type: ignore[abstract]
        account_id=parameters.account_id, name=name, value=value, parameter_type="String", description=None,
        allowed_pattern=None, keyid=None, last_modified_date=0, version=1, data_type="aws:ec2:image",
    )  # fmt: skip


PATCHES: tuple[Patch, ...] = (
    Patch(
        ParameterDict,
        "_check_loading_status",
        ("self", "key"),
        _check_loading_status,
        why="Moto has the public parameters of Amazon Linux, and not those of the Deep Learning AMIs.",
        without="What looks up the newest Deep Learning AMI finds none.",
    ),
)
