"""What AWS takes in CreateTransformJob and we do not yet: refused by its name, never ignored. Pure.

What is recorded and shown, and changes nothing on one machine, is not here: KMS keys.
"""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported, refused_members

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "DataCaptureConfig": (),
    "ExperimentConfig": ({},),
    "TransformInput.DataSource.S3DataSource.S3DataType": ("S3Prefix", "ManifestFile"),
    "TransformResources.TransformAmiVersion": (),
}


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise ApiError 501 that names every member of the request which Stagemaker does not implement yet."""
    found = sorted(refused_members(request, _REFUSED))
    if request.get("MaxPayloadInMB") == 0:  # an object of any size, sent in chunks
        found.append("MaxPayloadInMB=0")
    if found:
        raise not_supported(", ".join(found))
