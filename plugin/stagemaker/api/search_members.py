"""What a result of Search shows of each kind of resource: the members of its type in SearchRecord."""

TRAINING_JOB_MEMBERS = frozenset((
    "TrainingJobName", "TrainingJobArn", "TuningJobArn", "LabelingJobArn", "AutoMLJobArn", "ModelArtifacts",
    "TrainingJobStatus", "SecondaryStatus", "FailureReason", "HyperParameters", "AlgorithmSpecification", "RoleArn",
    "InputDataConfig", "OutputDataConfig", "ResourceConfig", "WarmPoolStatus", "VpcConfig", "StoppingCondition",
    "CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime", "SecondaryStatusTransitions",
    "FinalMetricDataList", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining", "CheckpointConfig", "TrainingTimeInSeconds", "BillableTimeInSeconds",
    "DebugHookConfig", "ExperimentConfig", "DebugRuleConfigurations", "TensorBoardOutputConfig",
    "DebugRuleEvaluationStatuses", "OutputModelPackageArn", "ModelPackageConfig", "ProfilerConfig", "Environment",
    "RetryStrategy",
))  # fmt: skip

TUNING_JOB_MEMBERS = frozenset((
    "HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobConfig",
    "TrainingJobDefinition", "TrainingJobDefinitions", "HyperParameterTuningJobStatus", "CreationTime",
    "HyperParameterTuningEndTime", "LastModifiedTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters",
    "BestTrainingJob", "OverallBestTrainingJob", "WarmStartConfig", "FailureReason", "TuningJobCompletionDetails",
    "ConsumedResources",
))  # fmt: skip

ENDPOINT_MEMBERS = frozenset((
    "EndpointName", "EndpointArn", "EndpointConfigName", "ProductionVariants", "DataCaptureConfig",
    "EndpointStatus", "FailureReason", "CreationTime", "LastModifiedTime", "MonitoringSchedules",
    "ShadowProductionVariants",
))  # fmt: skip

MODEL_MEMBERS = frozenset((
    "ModelName", "PrimaryContainer", "Containers", "InferenceExecutionConfig", "ExecutionRoleArn", "VpcConfig",
    "CreationTime", "ModelArn", "EnableNetworkIsolation", "DeploymentRecommendation",
))  # fmt: skip
