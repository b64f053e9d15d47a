"""The notebook instance's request, as AWS takes it. Pure."""

from typing import Any

from infra.blueprint import Blueprint
from infra.notebook.names import name
from infra.notebook.settings import NotebookSettings


def instance_request(blueprint: Blueprint, settings: NotebookSettings) -> dict[str, Any]:
    """CreateNotebookInstance. Its user never is root (lifecycle scripts always are), and its metadata need a token."""
    network = {"SubnetId": settings.subnet, "SecurityGroupIds": list(settings.security_groups)}
    return {
        "NotebookInstanceName": name(blueprint),
        "InstanceType": settings.instance_type,
        "RoleArn": blueprint.role_arn("notebook"),
        "LifecycleConfigName": name(blueprint),
        "VolumeSizeInGB": settings.volume_gb,
        "DirectInternetAccess": "Enabled" if settings.direct_internet else "Disabled",
        "RootAccess": "Disabled",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
        "Tags": blueprint.tags,
        **({"KmsKeyId": blueprint.key} if blueprint.key else {}),
        **(network if settings.subnet else {}),
    }
