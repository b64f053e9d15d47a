"""What a request says of a notebook instance: what is refused, and the record that comes of it. Pure."""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import not_supported, refused_members
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Ref

LIFECYCLE_CONFIG_NAME = "NotebookInstanceLifecycleConfigName"  # of a record; requests say LifecycleConfigName
_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "DefaultCodeRepository": (),
    "AdditionalCodeRepositories": ([],),
    "AcceleratorTypes": ([],),
}
_DEFAULTS: Mapping[str, Any] = {  # AWS's
    "DirectInternetAccess": "Enabled",
    "IpAddressType": "ipv4",
    "PlatformIdentifier": "notebook-al2023-v1",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
}
_RENAMED = {"LifecycleConfigName": LIFECYCLE_CONFIG_NAME, "SecurityGroupIds": "SecurityGroups"}
_NOT_KEPT = (
    "DisassociateAcceleratorTypes",
    "DisassociateAdditionalCodeRepositories",
    "DisassociateDefaultCodeRepository",
    "DisassociateLifecycleConfig",
)


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise ApiError 501 that names every member of the request which Stagemaker does not implement yet, and
    ValidationException for a combination that AWS does not take."""
    if found := sorted(refused_members(request, _REFUSED)):
        raise not_supported(", ".join(found))
    if request.get("DirectInternetAccess") == "Disabled" and "SubnetId" not in request:
        raise validation_error("DirectInternetAccess can be Disabled only with a SubnetId.")
    if request.get("DisassociateLifecycleConfig") and "LifecycleConfigName" in request:
        raise validation_error("Give either LifecycleConfigName or DisassociateLifecycleConfig.")


def new_record(ref: Ref, request: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """The record of CreateNotebookInstance, without a status."""
    return {
        **_DEFAULTS,
        **_members(request),
        "NotebookInstanceArn": ref.arn,
        "CreationTime": now_s,
        "LastModifiedTime": now_s,
        "Tags": tag_list(request),
    }


def updated_record(record: Mapping[str, Any], request: Mapping[str, Any], now_s: float) -> dict[str, Any]:
    """The record after UpdateNotebookInstance, with the status that it had. ValidationException for a volume that would
    shrink, as on AWS."""
    if request.get("VolumeSizeInGB", record["VolumeSizeInGB"]) < record["VolumeSizeInGB"]:
        raise validation_error(f"VolumeSizeInGB cannot be less than it is ({record['VolumeSizeInGB']}).")
    left = LIFECYCLE_CONFIG_NAME if request.get("DisassociateLifecycleConfig") else ""
    kept = {key: value for key, value in record.items() if key != left}
    return {**kept, **_members(request), "LastModifiedTime": now_s}


def _members(request: Mapping[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): value for key, value in request.items() if key not in _NOT_KEPT}
