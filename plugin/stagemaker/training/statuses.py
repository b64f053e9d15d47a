"""The steps of a training job. Statuses, order and messages are AWS's own."""

from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.jobs.statuses import COMPLETED, FAILED, IN_PROGRESS, STOPPED, STOPPING, StatusTable, Step

_ENDS = (FAILED, STOPPED, STOPPING)
_LATE = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")

STATUSES = StatusTable(
    noun=TRAINING_JOB.noun,
    first="Starting",
    started="Downloading",
    has_secondary=True,
    steps={
        "Starting": Step(IN_PROGRESS, "Preparing the instances for training", ("Downloading", *_ENDS)),
        "Downloading": Step(IN_PROGRESS, "Downloading input data", ("Training", "Starting", *_ENDS)),
        "Training": Step(
            IN_PROGRESS,
            "Training image download completed. Training in progress.",
            ("Uploading", "Interrupted", "Starting", *_ENDS),
        ),
        "Interrupted": Step(IN_PROGRESS, "The instances were taken back", ("Starting", *_ENDS)),
        STOPPING: Step(STOPPING, "Stopping the training job", ("Uploading", COMPLETED, FAILED, STOPPED, *_LATE)),
        "Uploading": Step(IN_PROGRESS, "Uploading generated training model", (COMPLETED, *_LATE, *_ENDS)),
        COMPLETED: Step(COMPLETED, "Training job completed"),
        FAILED: Step(FAILED, "Training job failed"),
        STOPPED: Step(STOPPED, "Training job stopped"),
        "MaxRuntimeExceeded": Step(STOPPED, "Training job runtime exceeded MaxRuntimeInSeconds provided"),
        "MaxWaitTimeExceeded": Step(STOPPED, "Training job wait time exceeded MaxWaitTimeInSeconds provided"),
    },
)
