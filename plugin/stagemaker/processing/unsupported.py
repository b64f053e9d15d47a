"""What AWS takes in CreateProcessingJob and we do not yet: refused by its name, never ignored. Pure.

What is recorded and shown, and changes nothing on one machine, is not here: KMS keys, VolumeSizeInGB,
EnableInterContainerTrafficEncryption.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported, refused_members

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "ExperimentConfig": ({},),
    "ProcessingResources.ClusterConfig.InstancePreferences": ([],),
}
_REFUSED_OF_AN_INPUT: Mapping[str, tuple[Any, ...]] = {
    "DatasetDefinition": (),
    "S3Input.S3InputMode": ("File",),
}
_REFUSED_OF_AN_OUTPUT: Mapping[str, tuple[Any, ...]] = {"FeatureStoreOutput": ()}


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise ApiError 501 that names every member of the request which Stagemaker does not implement yet."""
    found = sorted([*refused_members(request, _REFUSED), *_of_the_lists(request)])
    if found:
        raise not_supported(", ".join(found))


def _of_the_lists(request: Mapping[str, Any]) -> Iterator[str]:
    for each in request.get("ProcessingInputs", []):
        for name in refused_members(each, _REFUSED_OF_AN_INPUT):
            yield f"ProcessingInputs[{each['InputName']}].{name}"
    for each in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        for name in refused_members(each, _REFUSED_OF_AN_OUTPUT):
            yield f"ProcessingOutputConfig.Outputs[{each['OutputName']}].{name}"
