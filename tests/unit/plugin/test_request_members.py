"""No member of a Create request is quietly dropped: each is executed or recorded, or the request is refused.

The members are those of the newest model of AWS's. A new one fails this test until somebody has decided.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import MODEL, PROCESSING_JOB, TRAINING_JOB, TRANSFORM_JOB
from stagemaker.core.refs import Ref
from stagemaker.core.store import MemoryStore
from stagemaker.hosting.configs import EndpointConfigs
from stagemaker.processing.processing import Processing
from stagemaker.training.training import Training
from stagemaker.transform.transform import Transform
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.processing.processing_requests import request as processing_request
from tests.unit.plugin.request_variants import input_shape, with_one_more
from tests.unit.plugin.training.training_requests import request as training_request
from tests.unit.plugin.transform.transform_requests import request as transform_request


def configure(request: Mapping[str, Any]) -> None:
    store = MemoryStore()
    container = {"PrimaryContainer": {"Image": "a"}, "EnableNetworkIsolation": False}
    store.put(Ref(SCOPE, MODEL, "model"), {"ModelName": "model", **container})
    EndpointConfigs(store, FakeClock()).create_endpoint_config(SCOPE, request)


@dataclass(frozen=True)
class Case:
    """Of one operation: a request that it takes, and the members that it takes besides. `recorded` are those of them
    that have no effect, as docs/fidelity.md says."""

    take: Callable[[Mapping[str, Any]], object]
    request: Mapping[str, Any]
    executed: set[str]
    recorded: set[str]


VARIANT = {"VariantName": "a", "ModelName": "model", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
CASES: dict[str, Case] = {
    "CreateTrainingJob": Case(
        lambda request: Training().plan(Ref(SCOPE, TRAINING_JOB, "job"), request),
        training_request(),
        {
            *("AlgorithmSpecification.ContainerArguments", "AlgorithmSpecification.ContainerEntrypoint"),
            *("AlgorithmSpecification.MetricDefinitions", "AlgorithmSpecification.TrainingImageConfig"),
            *("CheckpointConfig", "CheckpointConfig.LocalPath", "EnableNetworkIsolation", "Environment"),
            *("HyperParameters", "InputDataConfig.CompressionType", "InputDataConfig.ContentType"),
            *("InputDataConfig.DataSource.S3DataSource.S3DataDistributionType", "InputDataConfig.InputMode"),
            *("InputDataConfig.RecordWrapperType", "InputDataConfig.ShuffleConfig", "OutputDataConfig.CompressionType"),
            *("RetryStrategy", "StoppingCondition.MaxRuntimeInSeconds", "Tags", "TensorBoardOutputConfig"),
            *("TensorBoardOutputConfig.LocalPath", "VpcConfig"),
        },
        {
            "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries",
            *(f"DebugHookConfig{each}" for each in ("", ".HookParameters", ".LocalPath", ".CollectionConfigurations")),
            "DebugHookConfig.CollectionConfigurations.CollectionName",
            "DebugHookConfig.CollectionConfigurations.CollectionParameters",
            "EnableInterContainerTrafficEncryption",
            "InfraCheckConfig.EnableInfraCheck",
            *("OutputDataConfig.KmsKeyId", "ResourceConfig.VolumeKmsKeyId"),
            *("ProfilerConfig.DisableProfiler", "ProfilerConfig.ProfilingIntervalInMilliseconds"),
            *("ProfilerConfig.ProfilingParameters", "ProfilerConfig.S3OutputPath"),
            "ResourceConfig.KeepAlivePeriodInSeconds",
        },
    ),
    "CreateProcessingJob": Case(
        lambda request: Processing().plan(Ref(SCOPE, PROCESSING_JOB, "job"), request),
        processing_request(),
        {
            *("AppSpecification.ContainerArguments", "AppSpecification.ContainerEntrypoint", "Environment"),
            *("NetworkConfig.EnableNetworkIsolation", "NetworkConfig.VpcConfig", "StoppingCondition", "Tags"),
            *("ProcessingInputs.AppManaged", "ProcessingOutputConfig.Outputs.AppManaged"),
            "ProcessingInputs.S3Input.S3CompressionType",
            "ProcessingInputs.S3Input.S3DataDistributionType",
        },
        {
            "NetworkConfig.EnableInterContainerTrafficEncryption",
            *("ProcessingOutputConfig.KmsKeyId", "ProcessingResources.ClusterConfig.VolumeKmsKeyId"),
        },
    ),
    "CreateTransformJob": Case(
        lambda request: Transform().plan(Ref(SCOPE, TRANSFORM_JOB, "job"), request),
        transform_request(),
        {
            *("DataProcessing.JoinSource", "Environment", "MaxConcurrentTransforms", "MaxPayloadInMB", "Tags"),
            *("ModelClientConfig.InvocationsMaxRetries", "ModelClientConfig.InvocationsTimeoutInSeconds"),
            *("TransformInput.CompressionType", "TransformInput.ContentType", "TransformInput.SplitType"),
            *("TransformOutput.Accept", "TransformOutput.AssembleWith"),
        },
        {"TransformOutput.KmsKeyId", "TransformResources.VolumeKmsKeyId"},
    ),
    "CreateEndpointConfig": Case(
        configure,
        {"EndpointConfigName": "a", "ProductionVariants": [VARIANT]},
        {
            *("AsyncInferenceConfig.OutputConfig.S3OutputPath", "DataCaptureConfig", "DataCaptureConfig.EnableCapture"),
            "DataCaptureConfig.CaptureContentTypeHeader.CsvContentTypes",
            "DataCaptureConfig.CaptureContentTypeHeader.JsonContentTypes",
            "MetricsConfig.EnableEnhancedMetrics",
            "ProductionVariants.ContainerStartupHealthCheckTimeoutInSeconds",
            "ProductionVariants.InitialVariantWeight",
            "ProductionVariants.ModelDataDownloadTimeoutInSeconds",
            *("ProductionVariants.RoutingConfig", "ProductionVariants.VolumeSizeInGB", "Tags"),
        },
        {
            *("DataCaptureConfig.KmsKeyId", "KmsKeyId"),
            *("ProductionVariants.EnableSSMAccess", "ProductionVariants.InferenceAmiVersion"),
            "ProductionVariants.VariantInstanceProvisionTimeoutInSeconds",
        },
    ),
}


def taken(case: Case, request: Mapping[str, Any]) -> bool:
    """Whether the request is taken, and not refused in a sentence."""
    try:
        case.take(request)
    except ApiError:
        return False
    return True


@pytest.mark.parametrize("operation", CASES)
def test_each_member_is_executed_or_recorded_or_refused(operation: str) -> None:
    case = CASES[operation]
    assert taken(case, case.request)
    variants = with_one_more(input_shape(operation), dict(case.request))
    found = {path for path, request in variants if taken(case, request)}
    assert found == case.executed | case.recorded
