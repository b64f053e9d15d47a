"""What came of a run on an EC2 host, beside the training job of the same settings: metrics, weights, time and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.blueprint import Blueprint
from infra.clients import Clients
from infra.ec2.outcome import COMPLETED, Result, metrics, read_text, weights_sha256
from infra.ec2.user_data import Run
from infra.prices import prices
from infra.prices.prices import Prices
from infra.resources.training import completed_job
from infra.settings import METRICS
from infra.terminal import Terminal
from infra.typed import make

BILLED_AT_LEAST_S = 60  # AWS bills Linux by the second, and a minute at least


@dataclass(frozen=True)
class Trained:
    """One training: where it ran, what it found, and what it cost. `billed_s` is what AWS bills for, `usd` None where
    no price is known. `model` is the archive's S3 URI and `weights` the SHA-256 of the weights in it, in hex; both are
    empty where there is no model."""

    where: str
    training_s: int
    billed_s: int
    usd: float | None
    model: str
    weights: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of the run of a name. `status` is Completed, Stopped (out of time), Interrupted or Failed, and `why`
    says more where it is not Completed. `job` is None where no training job of the same settings is completed."""

    run: str
    status: str
    why: str
    host: Trained
    job: Trained | None

    @property
    def has_same_weights(self) -> bool | None:
        """Whether host and job have; None where one of them has none."""
        if self.job is None or not (self.host.weights and self.job.weights):
            return None
        return self.host.weights == self.job.weights

    def show(self, terminal: Terminal) -> None:
        """Say it, as a table with a column for each training."""
        trained = [self.host, *([self.job] if self.job else [])]
        terminal.table(f"Run {self.run}: {self.status}", ("", *(one.where for one in trained)), rows(trained))
        if self.job is None:
            terminal.say(f"No training job of the same settings is completed. {make('train')} makes one to compare.")
        if self.has_same_weights is not None:
            same = "the same" if self.has_same_weights else "not the same"
            terminal.say(f"The weights of the EC2 host and of the training job are {same}.")


def outcome_of(clients: Clients, blueprint: Blueprint, run: Run, result: Result) -> Outcome:
    """The outcome of a run that has ended. Reads only."""
    known = prices.read()
    host, job = _on_host(clients.s3, run, result, known), _as_job(clients, blueprint, known)
    return Outcome(run.name, result.status, result.why, host, job)


def rows(trained: Sequence[Trained]) -> list[tuple[str, ...]]:
    """A row for each figure, a cell for each training."""
    names = dict.fromkeys(name for one in trained for name in one.metrics)
    shown = {
        "Time of training": [f"{one.training_s} s" for one in trained],
        "Billed time": [f"{one.billed_s} s" for one in trained],
        "Cost on AWS": ["price unknown" if one.usd is None else f"${one.usd:.4f}" for one in trained],
        **{name: [f"{one.metrics[name]:.4f}" if name in one.metrics else "" for one in trained] for name in names},
        "Model": [one.model for one in trained],
        "SHA-256 of the weights": [one.weights for one in trained],
    }
    return [(name, *cells) for name, cells in shown.items()]


def _on_host(s3: Any, run: Run, result: Result, known: Prices) -> Trained:
    """The run on the host. Its boot, a minute or so, is billed too and not known here."""
    archive = f"{run.results}/output/model.tar.gz"
    weights = weights_sha256(s3, archive) if result.status in (COMPLETED, "Stopped") else None
    log = read_text(s3, f"{run.results}/{result.instance_id}/host.log") or ""
    billed_s = max(BILLED_AT_LEAST_S, result.host_s)
    spot = result.life_cycle == "spot"
    return Trained(
        where=f"EC2 host ({run.instance_type}{', spot' if spot else ''}{', GPU' if result.gpu else ''})",
        training_s=result.training_s,
        billed_s=billed_s,
        usd=_usd(known, "ec2-spot" if spot else "ec2", run.instance_type, run.region, billed_s),
        model=archive if weights else "",
        weights=weights or "",
        metrics=metrics(log.splitlines(), METRICS),
    )


def _as_job(clients: Clients, blueprint: Blueprint, known: Prices) -> Trained | None:
    """The first model's training job, where it is completed."""
    model = blueprint.settings.models[0]
    found = completed_job(clients.sagemaker, blueprint, model)
    if found is None:
        return None
    region, instance_type, count = blueprint.settings.region, model.training.instance_type, model.training.instances
    billed_s = found.get("BillableTimeInSeconds", 0) * count
    archive = found["ModelArtifacts"]["S3ModelArtifacts"]
    return Trained(
        where=f"Training job ({f'{count} x ' if count > 1 else ''}{instance_type})",
        training_s=found.get("TrainingTimeInSeconds", 0),
        billed_s=billed_s,
        usd=_usd(known, "training", instance_type, region, billed_s),
        model=archive,
        weights=weights_sha256(clients.s3, archive) or "",
        metrics={one["MetricName"]: one["Value"] for one in found.get("FinalMetricDataList", ())},
    )


def _usd(known: Prices, usage: str, instance_type: str, region: str, seconds: int) -> float | None:
    price = known.find(usage, instance_type, region)
    return price.usd * seconds / 3600 if price else None
