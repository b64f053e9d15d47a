"""The steps of a tuning job, which are its statuses. It has no start time."""

from stagemaker.core.kinds import TUNING_JOB
from stagemaker.jobs.statuses import without_steps

STATUSES = without_steps(TUNING_JOB.noun)
