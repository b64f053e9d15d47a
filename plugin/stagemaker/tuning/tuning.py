"""Hyperparameter tuning jobs: what their kind has to say of itself, and the operations that only they have."""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.operation import Call, Resource, Response, named
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB, TUNING_JOB
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.jobs.checks import Checks
from stagemaker.jobs.job import Job, JobContext
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.kind import JobKind, Outcome
from stagemaker.jobs.statuses import StatusTable
from stagemaker.tuning.children import child_name, child_request
from stagemaker.tuning.counters import counters, is_child, objective_value, summary
from stagemaker.tuning.grid import first_configuration
from stagemaker.tuning.plan import Definition, TuningPlan, tuning_plan
from stagemaker.tuning.refusals import MAX_TUNING_JOBS, OBJECTIVE_NAME, limit_exceeded
from stagemaker.tuning.run import NO_CAPACITY, Run
from stagemaker.tuning.statuses import STATUSES
from stagemaker.tuning.warm_start import refuse_parents

OBJECTIVE_SORT = "FinalObjectiveMetricValue"


class Tuning:
    """The kind of tuning jobs. `training` is the kind of their children; `store` has the jobs of a warm start."""

    kind: Kind = TUNING_JOB
    statuses: StatusTable = STATUSES
    log_group = "/aws/sagemaker/TrainingJobs"  # it has no log and no metric of its own: its children have
    list_order = "Ascending"
    missing = missing_to_stop = "Amazon SageMaker can't find a tuning job called {name}. Type another name."
    taken = "A hyperparameter tuning job with the name, {name}, already exists. Choose a different name."
    summary_members = ("Strategy", "TrainingJobStatusCounters", "ObjectiveStatusCounters", "ResourceLimits")
    undescribed = ("Strategy", "ResourceLimits")
    can_be_deleted = True
    filters_status_last = False

    def __init__(self, training: JobKind[Any], store: Store) -> None:
        self._training, self._store = training, store

    def plan(self, ref: Ref, request: Mapping[str, Any]) -> TuningPlan:
        """The request as a plan. Raises ApiError."""
        return tuning_plan(ref, request)

    def check(self, plan: TuningPlan, checks: Checks) -> None:
        """The quota, the parents, and whatever would be checked of a training job of each definition."""
        scope = plan.ref.scope
        jobs = [job for job in self._store.all(scope, TUNING_JOB) if not STATUSES.has_ended(job)]
        if len(jobs) >= MAX_TUNING_JOBS:
            raise limit_exceeded("Number of parallel hyperparameter tuning jobs", MAX_TUNING_JOBS, len(jobs), 1)
        refuse_parents(plan, [(parent, len(self._children(scope, parent))) for parent in self._parents(plan)])
        for definition in plan.definitions:
            self._check_children(plan, definition, checks)

    def record(self, plan: TuningPlan, request: Mapping[str, Any]) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers also where the request does not say it."""
        early = {"TrainingJobEarlyStoppingType": "Auto" if plan.stops_early else "Off"}
        config = {**early, **request["HyperParameterTuningJobConfig"]}
        if "ParameterRanges" in config:
            config["ParameterRanges"] = _all_lists(config["ParameterRanges"])
        shown = [_shown(definition) for definition in plan.definitions]
        return {
            "HyperParameterTuningJobConfig": config,
            **(
                {"TrainingJobDefinitions": shown}
                if "TrainingJobDefinitions" in request
                else {"TrainingJobDefinition": shown[0]}
            ),
            "Strategy": config["Strategy"],
            "ResourceLimits": config["ResourceLimits"],
            **counters([]),
            "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": 0},
            "ConsumedResources": {"RuntimeInSeconds": 0},
        }

    def is_listed(self, record: Record, request: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as the protocol has it
        """There is no other filter."""
        return True

    def ending(self, record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Nothing."""
        return {}

    def work(self, job: Job[TuningPlan]) -> Outcome:
        """Search. Raises JobFailed when no training job succeeds, and ApiError when none can be created."""
        parents = self._parents(job.plan)
        return Run(job, [child for each in parents for child in self._children(job.ref.scope, each)]).work()

    def _parents(self, plan: TuningPlan) -> list[Record]:
        """Their records. ResourceNotFound for one that is not there."""
        found = []
        for name in plan.warm_start.parents if plan.warm_start else ():
            record = self._store.get(Ref(plan.ref.scope, TUNING_JOB, name))
            if record is None:
                raise ApiError("ResourceNotFound", self.missing.format(name=name))
            found.append(record)
        return found

    def _children(self, scope: Scope, parent: Record) -> list[Record]:
        return [record for record in self._store.all(scope, TRAINING_JOB) if is_child(record, parent)]

    def _check_children(self, plan: TuningPlan, definition: Definition, checks: Checks) -> None:
        """Raise what CreateTrainingJob would raise for a training job of the definition, on any of its resources."""
        name = child_name(plan.ref.name, 1, "0" * 8)
        for resources in definition.resources:
            request = child_request(plan, definition, resources, name, first_configuration(definition.ranges))
            try:
                self._training.check(self._training.plan(Ref(plan.ref.scope, TRAINING_JOB, name), request), checks)
                return
            except ApiError as error:
                if error.code not in NO_CAPACITY or resources is definition.resources[-1]:
                    raise


class TuningJobs(Jobs[TuningPlan]):
    """The operations of tuning jobs."""

    def __init__(self, training: JobKind[Any], context: JobContext) -> None:
        super().__init__(Tuning(training, context.store), context)

    def rows(self) -> tuple[tuple[str, Call, Resource], ...]:
        """The five of every kind, and the list of a tuning job's training jobs."""
        name = "ListTrainingJobsForHyperParameterTuningJob"
        return (*super().rows(), (name, self.list_training_jobs, named(TUNING_JOB)))

    def list(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """AWS sorts tuning jobs by their names where training jobs are sorted by time."""
        return super().list(scope, {"SortBy": "Name", **request})

    def list_training_jobs(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Summaries of the training jobs, one page of them. By the value of the objective only those that have one."""
        parent = self._get(self._ref(scope, request))
        children = [record for record in self._store.all(scope, TRAINING_JOB) if is_child(record, parent)]
        if request.get("SortBy") == OBJECTIVE_SORT:
            valued = [(record, objective_value(record)) for record in children]
            children = [{**record, OBJECTIVE_SORT: value} for record, value in valued if value is not None]
        shown, token = page(
            children,
            request,
            name="TrainingJobName",
            sort={
                "Name": "TrainingJobName",
                "CreationTime": "CreationTime",
                "Status": "TrainingJobStatus",
                OBJECTIVE_SORT: OBJECTIVE_SORT,
            },
            status="TrainingJobStatus",
            order="Ascending",
        )
        return {"TrainingJobSummaries": [summary(each) for each in shown], **({"NextToken": token} if token else {})}

    def _get(self, ref: Ref, missing: str = "") -> Record:
        """As of every kind, but ResourceNotFound."""
        record = self._store.get(ref)
        if record is None:
            raise ApiError("ResourceNotFound", (missing or self._kind.missing).format(name=ref.name))
        return record


def _all_lists(ranges: Mapping[str, Any]) -> dict[str, Any]:
    """Ranges as AWS describes them, also the lists that are empty: SDK 2 reads all three when it attaches to a job."""
    names = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
    return {**{name: [] for name in names}, **ranges}


def _shown(definition: Definition) -> dict[str, Any]:
    """A definition as Describe answers it. It has a ResourceConfig in any case, which SDK 2 relies on when it attaches
    to a tuning job that it made with a HyperParameterTuningResourceConfig."""
    given = definition.given
    channels = [{"CompressionType": "None", **channel} for channel in given.get("InputDataConfig", [])]
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ResourceConfig": dict(definition.resources[0]),
        **given,
        **({"InputDataConfig": channels} if channels else {}),
        **(
            {"HyperParameterRanges": _all_lists(given["HyperParameterRanges"])}
            if "HyperParameterRanges" in given
            else {}
        ),
        "StaticHyperParameters": {**definition.static, OBJECTIVE_NAME: definition.objective.metric},
    }
