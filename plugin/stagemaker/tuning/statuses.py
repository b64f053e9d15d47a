"""The steps of a tuning job. It has no secondary statuses."""

from stagemaker.core.kinds import TUNING_JOB
from stagemaker.jobs.statuses import COMPLETED, FAILED, STOPPED, STOPPING, StatusTable, Step

IN_PROGRESS = "InProgress"

STATUSES = StatusTable(
    noun=TUNING_JOB.noun,
    first=IN_PROGRESS,
    started=IN_PROGRESS,
    steps={
        IN_PROGRESS: Step(IN_PROGRESS, then=(STOPPING, COMPLETED, FAILED, STOPPED)),
        STOPPING: Step(STOPPING, then=(COMPLETED, FAILED, STOPPED)),
        COMPLETED: Step(COMPLETED),
        FAILED: Step(FAILED),
        STOPPED: Step(STOPPED),
    },
)
