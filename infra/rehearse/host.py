"""The EC2 host beside the training job, as the five people compared them: time, metrics, cost."""

from infra import images
from infra.ec2.outcome import COMPLETED
from infra.ec2.report import Outcome, rows
from infra.ec2.train import train_on_host
from infra.errors import StepFailed
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section, Table

TITLE = "The EC2 host beside the training job"


def play(rehearsal: Rehearsal) -> Section:
    """Push the trainer, and train on a host as `make ec2-train` does. Raises StepFailed when that does not complete."""
    settings = rehearsal.deployment.blueprint.settings
    if settings.ec2 is None:
        return Section(TITLE, ("This system has no EC2 host.",), here={"ec2": "none"})
    if not rehearsal.in_containers:
        told = "left out: a process is no machine; DOCKER=1 rehearses it"
        return Section(TITLE, (f"{told[0].upper()}{told[1:]}.",), here={"ec2": told})
    images.push(rehearsal.clients, settings, ["trainer"], rehearsal.terminal, dirty=True)
    outcome = train_on_host(rehearsal.deployment, rehearsal.terminal)
    outcome.show(rehearsal.terminal)
    if outcome.status != COMPLETED:
        raise StepFailed(f"The EC2 host ended as {outcome.status}: {outcome.why}", "Read the lines above.")
    rehearsal.host = outcome
    return section(outcome, settings.ec2.market)


def section(outcome: Outcome, market: str) -> Section:
    """Host and job side by side; `market` is the one that was asked for."""
    trained = [outcome.host, *([outcome.job] if outcome.job else [])]
    same = {
        True: "Both made the same weights, by their SHA-256.",
        False: "Their weights are not the same.",
        None: "Their weights cannot be compared.",
    }
    return Section(
        TITLE,
        (
            f"The same image, data and hyperparameters, by user data alone; the host ended itself. {market} was asked "
            f"for. {same[outcome.has_same_weights]} The host's time is billed from its start, with the pull of the "
            "image.",
        ),
        (Table(("", *(one.where for one in trained)), tuple(rows(trained))),),
        here={"ec2": f"{outcome.host.where}: {outcome.host.training_s} s of training, and it ended itself"},
    )
