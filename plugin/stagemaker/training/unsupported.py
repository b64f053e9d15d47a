"""What AWS takes in CreateTrainingJob and we do not yet: refused by its name, never ignored. Pure.

What is recorded and shown, and changes nothing on one machine, is not here: KMS keys, VolumeSizeInGB,
EnableInterContainerTrafficEncryption, DebugHookConfig, ProfilerConfig.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stagemaker.api.unsupported import not_supported, refused_members

# Members that are refused whenever they are set to anything but what these accepted values say.
_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "AlgorithmSpecification.AlgorithmName": (),
    "AlgorithmSpecification.TrainingImageConfig.TrainingRepositoryAccessMode": ("Platform",),
    "AlgorithmSpecification.TrainingImageConfig.TrainingRepositoryAuthConfig": (),
    "DebugRuleConfigurations": ([],),
    "ExperimentConfig": ({},),
    "MlflowConfig": (),
    "ModelPackageConfig": (),
    "ProfilerRuleConfigurations": ([],),
    "RemoteDebugConfig.EnableRemoteDebug": (False,),
    "ResourceConfig.InstancePlacementConfig": (),
    "ResourceConfig.InstancePreferences": ([],),
    "ResourceConfig.TrainingPlanArn": (),
    "ServerlessJobConfig": (),
    "SessionChainingConfig": (),
    "StoppingCondition.MaxPendingTimeInSeconds": (),
}
_REFUSED_OF_A_CHANNEL: Mapping[str, tuple[Any, ...]] = {
    "DataSource.DatasetSource": (),
    "DataSource.FileSystemDataSource": (),
    "DataSource.S3DataSource.HubAccessConfig": (),
    "DataSource.S3DataSource.ModelAccessConfig": (),
    "DataSource.S3DataSource.S3DataDistributionType": ("FullyReplicated", "ShardedByS3Key"),
    "DataSource.S3DataSource.S3DataType": ("S3Prefix", "ManifestFile", "AugmentedManifestFile"),
}


def refuse_unsupported(request: Mapping[str, Any]) -> None:
    """Raise ApiError 501 that names every member of the request which Stagemaker does not implement yet."""
    found = sorted([*refused_members(request, _REFUSED), *_channel_refusals(request)])
    if found:
        raise not_supported(", ".join(found))


def _channel_refusals(request: Mapping[str, Any]) -> Iterator[str]:
    for channel in request.get("InputDataConfig", []):
        for name in refused_members(channel, _REFUSED_OF_A_CHANNEL):
            yield f"InputDataConfig[{channel['ChannelName']}].{name}"
