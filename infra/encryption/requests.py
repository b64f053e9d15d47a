"""What of a deployment's requests names its key. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Families whose instances have disks of their own and no `d` in their name: "Instance store volumes" in the EC2 guide.
_WITH_DISKS = re.compile(r"g[56][ef]?|gr6|p5.*|p6.*|trn.*|i\d.*|is4gen|im4gn|h1|x1e?|f1|dl1")


def has_own_disks(instance_type: str) -> bool:
    """Whether instances of the type keep a job's data on disks of their own, which their hardware encrypts. SageMaker
    refuses a key for their volumes (VolumeKmsKeyId in
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html). A `d` after the number of a
    family says so, as of g4dn, m5d and p3dn."""
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return bool(re.match(r"d\d|[a-z]+\d+[a-z]*d", family) or _WITH_DISKS.fullmatch(family))


def encrypted_job(request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The request of a training job, or the definition of a tuning job's, whose output and volumes are encrypted with
    the key; as it is without a key."""
    if not key:
        return dict(request)
    resources = request["ResourceConfig"]
    volume = {} if has_own_disks(resources["InstanceType"]) else {"VolumeKmsKeyId": key}
    output = {**request["OutputDataConfig"], "KmsKeyId": key}
    return {**request, "OutputDataConfig": output, "ResourceConfig": {**resources, **volume}}


def without_volume_key(types: Iterable[str]) -> str:
    """A sentence about those of the instance types that take no key; empty where all take one."""
    found = sorted({one for one in types if has_own_disks(one)})
    if not found:
        return ""
    return f"Without the key: disks of {', '.join(found)}. Their hardware encrypts them, and SageMaker takes no key."
