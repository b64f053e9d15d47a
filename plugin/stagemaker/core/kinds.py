"""The kinds of records that the stage keeps: one row each."""

from stagemaker.core.refs import Kind

TRAINING_JOB = Kind("training-job", "TrainingJob")
TUNING_JOB = Kind("hyper-parameter-tuning-job", "HyperParameterTuningJob")
PROCESSING_JOB = Kind("processing-job", "ProcessingJob")
TRANSFORM_JOB = Kind("transform-job", "TransformJob")
MODEL = Kind("model", "Model")
ENDPOINT_CONFIG = Kind("endpoint-config", "EndpointConfig")
ENDPOINT = Kind("endpoint", "Endpoint")
NOTEBOOK_INSTANCE = Kind("notebook-instance", "NotebookInstance")
NOTEBOOK_LIFECYCLE_CONFIG = Kind("notebook-instance-lifecycle-config", "NotebookInstanceLifecycleConfig")
REPOSITORY = Kind("repository", "repository", service="ecr", lowers=False)
SCALABLE_TARGET = Kind("scalable-target", "ScalableTarget", service="application-autoscaling", lowers=False)
SCALING_POLICY = Kind("scalingPolicy", "ScalingPolicy", service="autoscaling", lowers=False, separator=":")
SCHEDULED_ACTION = Kind("scheduledAction", "ScheduledAction", service="autoscaling", lowers=False, separator=":")
SCALING_ACTIVITY = Kind("scaling-activity", "ScalingActivity", service="application-autoscaling", lowers=False)

KINDS: tuple[Kind, ...] = (
    TRAINING_JOB, TUNING_JOB, PROCESSING_JOB, TRANSFORM_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT,
    NOTEBOOK_INSTANCE, NOTEBOOK_LIFECYCLE_CONFIG, REPOSITORY,
    SCALABLE_TARGET, SCALING_POLICY, SCHEDULED_ACTION, SCALING_ACTIVITY,
)  # fmt: skip
