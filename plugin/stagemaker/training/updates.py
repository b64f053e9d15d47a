"""UpdateTrainingJob: what a training job that goes on can change.

AWS source: UpdateTrainingJob in the API reference. What it changes there is the work of the profiler, of a warm pool or
of a debugger. None of them is here, so that the record is all that changes; see docs/fidelity.md.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.operation import Response
from stagemaker.api.unsupported import not_supported, refused_members
from stagemaker.core.errors import validation_error
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.jobs.statuses import ENDED
from stagemaker.training.training import Training

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "ProfilerRuleConfigurations": ([],),
    "RemoteDebugConfig.EnableRemoteDebug": (False,),
}
_DEBUGGED = ("Downloading", "Training")  # when remote debugging can be changed
_CHANGED = ("ProfilerConfig", "ResourceConfig", "RemoteDebugConfig")


class TrainingUpdates:
    """Thread-safe. `clock` is epoch seconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def update_training_job(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Replace the members that are given. ValidationException when the job has ended; 501 for what would have to be
        executed."""
        if found := sorted(refused_members(request, _REFUSED)):
            raise not_supported(", ".join(found))
        ref = Ref(scope, TRAINING_JOB, request[TRAINING_JOB.name_member])
        with self._store.lock:
            record = self._store.get(ref)
            if record is None:
                raise validation_error(Training.missing.format(name=ref.name))
            status, secondary = record["TrainingJobStatus"], record["SecondaryStatus"]
            if status in ENDED or ("RemoteDebugConfig" in request and secondary not in _DEBUGGED):
                raise validation_error(
                    f"The request was rejected because the training job is in status {status} ({secondary})."
                )
            changes = {name: {**record.get(name, {}), **request[name]} for name in _CHANGED if name in request}
            self._store.update(ref, **changes, LastModifiedTime=self._clock())
        return {"TrainingJobArn": ref.arn}
