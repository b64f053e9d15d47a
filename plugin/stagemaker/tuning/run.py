"""The run of one tuning job: it starts training jobs, watches them, stops some early, and ends when enough is found."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.store import Record
from stagemaker.core.vpc import first_subnet
from stagemaker.jobs.job import Handle, Job
from stagemaker.jobs.kind import JobFailed, Outcome
from stagemaker.jobs.statuses import COMPLETED, STOPPED
from stagemaker.tuning import early_stopping
from stagemaker.tuning.children import child_name, child_request
from stagemaker.tuning.completion import failure, is_complete, progress
from stagemaker.tuning.counters import best, counters, evaluated_value, summary
from stagemaker.tuning.plan import Definition, TuningPlan
from stagemaker.tuning.search import Search, Trial
from stagemaker.tuning.warm_start import observations

LOG = logging.getLogger(__name__)
POLL_S = 0.1  # how often the training jobs are looked at
SHOW_S = 1.0  # how often ConsumedResources is brought up to date
NO_CAPACITY = ("ResourceLimitExceeded", "CapacityError")  # after which the next of several InstanceConfigs is tried
STUDY = "study.journal"


@dataclass
class Child:
    """A training job of ours. `values` are those of its objective metric so far, `record` is as it was last seen."""

    handle: Handle
    definition: int
    bracket: int
    trial: Trial
    record: Record
    values: list[float] = field(default_factory=list)
    stopped_early: bool = False


class Run:
    """For the job's own thread, once. `parents`: the training jobs of the parents of a warm start."""

    def __init__(self, job: Job[TuningPlan], parents: Sequence[Record]) -> None:
        self._job, self._plan, self._parents = job, job.plan, parents
        self._children: list[Child] = []
        self._running: list[Child] = []
        self._ended: list[Child] = []  # in the order of their ends
        self._is_exhausted = False  # no configuration is left to try
        self._began_s, self._shown_s = job.elapsed(), 0.0
        self._converged_s: float | None = None
        job.folder.mkdir(parents=True, exist_ok=True)
        self._searches = [self._search(index) for index in range(len(self._plan.definitions))]

    def work(self) -> Outcome:
        """Until enough is found or there is nothing left to try. No training job runs on when it returns or raises,
        unless the job is aborted: then they are too. Raises JobFailed and ApiError."""
        try:
            while not self._is_over:
                self._start_some()
                if not self._running:
                    break
                self._look()
        finally:
            self._end_children()
        if self._job.signals.any:
            return Outcome(STOPPED)
        if reason := self._failure(is_over=True):
            raise JobFailed(reason)
        return Outcome(COMPLETED)

    @property
    def _is_over(self) -> bool:
        """Whether no training job shall start or run on."""
        return (
            self._job.signals.any
            or self._job.elapsed() - self._began_s >= self._plan.max_runtime_s
            or is_complete(self._plan.criteria, progress(self._values(), self._plan.goal), self._plan.goal)
            or bool(self._failure(is_over=False))
        )

    def _failure(self, *, is_over: bool) -> str:
        statuses = [child.record["TrainingJobStatus"] for child in self._ended]
        return failure(statuses, len(self._values()), is_over=is_over)

    def _values(self) -> list[float]:
        found = (evaluated_value(child.record) for child in self._ended)
        return [value for value in found if value is not None]

    def _start_some(self) -> None:
        plan = self._plan
        while len(self._running) < plan.max_parallel and len(self._children) < plan.max_jobs:
            if self._is_exhausted or self._job.signals.any:
                return
            child = self._start()
            if child is None:
                self._is_exhausted = True
            else:
                self._children.append(child)
                self._running.append(child)
                self._show()

    def _start(self) -> Child | None:
        """Begin the next training job; None when no definition has a configuration left."""
        number = len(self._children)
        name = child_name(self._job.ref.name, number + 1, uuid.uuid4().hex[:8])
        for turn in range(len(self._searches)):
            index = (number + turn) % len(self._searches)
            trial = self._searches[index].ask(name)
            if trial is not None:
                handle = self._submit(self._plan.definitions[index], name, trial)
                earlier = sum(child.definition == index for child in self._children)
                bracket = self._plan.hyperband.bracket_of(earlier) if self._plan.hyperband else 0
                return Child(handle, index, bracket, trial, handle.record() or {})
        return None

    def _submit(self, definition: Definition, name: str, trial: Trial) -> Handle:
        for resources in definition.resources:
            try:
                request = child_request(self._plan, definition, resources, name, trial.tuned)
                return self._job.submit(TRAINING_JOB, request)
            except ApiError as error:
                if error.code not in NO_CAPACITY or resources is definition.resources[-1]:
                    raise
        raise AssertionError

    def _look(self) -> None:
        """Wait for a moment, and take in what the training jobs have done."""
        self._running[0].handle.wait(POLL_S)
        for child in list(self._running):
            has_ended = child.handle.wait(0)  # before its record and its values are read: then they are the last
            child.record = child.handle.record() or child.record
            self._read_values(child, has_ended)
            if has_ended:
                self._end(child)
        if self._job.elapsed() - self._shown_s >= SHOW_S:
            self._show()

    def _read_values(self, child: Child, has_ended: bool) -> None:
        values = [value for _, value in child.handle.history(self._plan.definitions[child.definition].objective.metric)]
        if child.handle.record() is None:
            values = child.values  # somebody deleted the job
        begins_anew = len(values) < len(child.values)  # after an interruption, and without checkpoints
        new, child.values = range(1 if begins_anew else len(child.values) + 1, len(values) + 1), values
        child.trial.report(child.values)
        if not (has_ended or child.stopped_early) and any(self._stops(child, values[:epoch]) for epoch in new):
            child.stopped_early = True
            child.handle.stop()

    def _stops(self, child: Child, values: list[float]) -> bool:
        plan, goal = self._plan, self._plan.goal
        if plan.hyperband:
            return plan.hyperband.stops(child.bracket, values, list(self._rivals(child)), goal)
        return plan.stops_early and early_stopping.stops(values, [other.values for other in self._ended], goal)

    def _rivals(self, child: Child) -> Iterator[list[float]]:
        for other in self._children:
            if other is not child and (other.definition, other.bracket) == (child.definition, child.bracket):
                yield other.values

    def _end(self, child: Child) -> None:
        self._running.remove(child)
        self._ended.append(child)
        value = evaluated_value(child.record)
        self._searches[child.definition].tell(child.trial, value, stopped_early=child.stopped_early)
        self._show()
        self._save_study()

    def _end_children(self) -> None:
        """Stop those that run, with their grace period, and wait for their ends; not when everything is aborted."""
        for child in self._running:
            child.handle.stop()
        while self._running and not self._job.signals.aborted:
            self._look()
        self._show()

    def _show(self) -> None:
        """Bring the record up to date."""
        plan, records = self._plan, [child.record for child in self._children]
        now_s, found = self._job.elapsed(), progress(self._values(), plan.goal)
        if found.is_converged and self._converged_s is None:
            self._converged_s = self._job.clock()
        details: dict[str, Any] = {"NumberOfTrainingJobsObjectiveNotImproving": found.not_improving}
        if self._converged_s is not None:
            details["ConvergenceDetectedTime"] = self._converged_s
        changes: dict[str, Any] = {
            **counters(records),
            "TuningJobCompletionDetails": details,
            "ConsumedResources": {"RuntimeInSeconds": round(now_s - self._began_s)},
        }
        if (own := best(records, plan.goal)) is not None:
            changes["BestTrainingJob"] = summary(own)
        if plan.warm_start and plan.warm_start.is_identical:
            overall = best([*self._parents, *records], plan.goal)
            changes |= {"OverallBestTrainingJob": summary(overall)} if overall is not None else {}
        self._job.change(lambda _: changes)
        self._shown_s = now_s

    def _search(self, index: int) -> Search:
        plan, definition = self._plan, self._plan.definitions[index]
        name = f"{self._job.ref.name}/{definition.name}" if len(plan.definitions) > 1 else self._job.ref.name
        seed = None if plan.seed is None else (plan.seed + index) % 2**32  # as numpy's generators take it
        search = Search(self._job.folder / STUDY, name, plan, definition, seed)
        if plan.warm_start:
            known = observations(definition, self._parents)
            if plan.warm_start.is_identical:
                search.learn(known)
            elif known:  # (ours) other data has other values: only what was best is tried first
                ordered = sorted(known, key=lambda each: each.value, reverse=definition.objective.maximize)
                search.begin_with(ordered[0].tuned)
        return search

    def _save_study(self) -> None:
        """Beside the artifacts of the training jobs. Whatever S3 says, the job goes on."""
        output = self._plan.definitions[0].given["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        given = self._plan.definitions[0].given
        account = self._job.account.under(given["RoleArn"], first_subnet(given.get("VpcConfig")))
        try:
            account.upload_file(self._job.ref.scope, self._job.folder / STUDY, f"{output}/{self._job.ref.name}/{STUDY}")
        except (ApiError, OSError) as error:
            LOG.warning("tuning job %s: its study is not saved: %s", self._job.ref.name, explain(error))
