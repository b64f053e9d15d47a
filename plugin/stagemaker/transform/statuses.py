"""The steps of a transform job, which are its statuses. TransformStartTime is when the model's containers serve."""

from stagemaker.core.kinds import TRANSFORM_JOB
from stagemaker.jobs.statuses import without_steps

STATUSES = without_steps(TRANSFORM_JOB.noun)
