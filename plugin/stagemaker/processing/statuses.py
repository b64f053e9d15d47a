"""The steps of a processing job, which are its statuses. ProcessingStartTime is when its containers start."""

from stagemaker.core.kinds import PROCESSING_JOB
from stagemaker.jobs.statuses import without_steps

STATUSES = without_steps(PROCESSING_JOB.noun)
