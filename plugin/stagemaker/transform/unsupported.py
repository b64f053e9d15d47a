"""What AWS takes in CreateTransformJob and we do not yet: refused by its name, never ignored. Pure.

What is recorded and shown, and changes nothing on one machine, is not here: KMS keys.
"""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported, refused_members

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "DataCaptureConfig": (),
    "ExperimentConfig": ({},),
    "MaxPayloadInMB": tuple(range(1, 101)),  # 0: an object of any size, sent in chunks
    "TransformInput.DataSource.S3DataSource.S3DataType": ("S3Prefix", "ManifestFile"),
    "TransformResources.TransformAmiVersion": (),
}


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise ApiError 501 that names every member of the request which Stagemaker does not implement yet."""
    found = sorted(refused_members(request, _REFUSED))
    if found:
        raise not_supported(", ".join(found))
