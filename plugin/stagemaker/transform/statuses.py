"""The steps of a transform job, which are its statuses: it has no secondary ones."""

from stagemaker.core.kinds import TRANSFORM_JOB
from stagemaker.jobs.statuses import COMPLETED, FAILED, STOPPED, STOPPING, StatusTable, Step

IN_PROGRESS = "InProgress"

STATUSES = StatusTable(
    noun=TRANSFORM_JOB.noun,
    first=IN_PROGRESS,
    started="",  # TransformStartTime is when the model's containers are healthy, which is no step
    steps={
        IN_PROGRESS: Step(IN_PROGRESS, then=(STOPPING, COMPLETED, FAILED, STOPPED)),
        STOPPING: Step(STOPPING, then=(COMPLETED, FAILED, STOPPED)),
        COMPLETED: Step(COMPLETED),
        FAILED: Step(FAILED),
        STOPPED: Step(STOPPED),
    },
)
