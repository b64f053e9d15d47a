"""An interruption of managed spot training that somebody asks for: as if EC2 took the machines of one job back."""

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.refs import Ref
from stagemaker.core.store import Record, Store
from stagemaker.jobs.jobs import Jobs
from stagemaker.training.plan import TrainingPlan


class Interruptions:
    """Thread-safe. AWS has no operation for it: neither SageMaker nor FIS."""

    def __init__(self, store: Store, jobs: Jobs[TrainingPlan]) -> None:
        self._store, self._jobs = store, jobs

    def arn_of(self, arn: str) -> str:
        """The ARN itself, once it is known to be a training job's. ValidationException when there is no such job."""
        return self._find(arn)[0].arn

    def interrupt(self, arn: str) -> None:
        """Interrupt the training job of this ARN, whose containers run. ValidationException when there is no such job,
        or when it is not managed spot training; ConflictException (409) when no container of it runs."""
        ref, record = self._find(arn)
        if not record["EnableManagedSpotTraining"]:
            raise validation_error(f"The training job {ref.name} is not managed spot training.")
        if record["SecondaryStatus"] != "Training" or not self._jobs.interrupt(ref):
            raise ApiError("ConflictException", f"The training job {ref.name} is {record['SecondaryStatus']}.", 409)

    def _find(self, arn: str) -> tuple[Ref, Record]:
        found = self._store.find(arn)
        if found is None or found[0].kind != TRAINING_JOB:
            raise validation_error(f"There is no training job {arn}.")
        return found
