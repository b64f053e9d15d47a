"""Runs experiments: breaks, waits until the endpoint serves again, and counts the calls of the load."""

import time
from collections.abc import Callable
from contextlib import suppress
from subprocess import SubprocessError

from botocore.exceptions import BotoCoreError, ClientError

from tests.chaos.calls import executed_without_answer, outage_s, percentile, summarize, told_of, unexcused
from tests.chaos.lab import LabMissing
from tests.chaos.load import LIMIT_S
from tests.chaos.report import Check, Second, TrialReport
from tests.chaos.table import Experiment
from tests.chaos.trial import Environment, Trial
from tests.chaos.workload import until

RECOVERED_S = 60.0
STEADY_S = 2.0  # without a failed call, before the next experiment


def run_trial[Broken: Environment](
    experiment: Experiment[Broken], environment: Broken, run_began_s: float, say: Callable[[str], None] = print
) -> TrialReport:
    """One experiment, with its account of the calls that were due while it went on.

    What it breaks is undone, whatever happens. An error of the experiment itself is a check that does not hold."""

    def told(text: str) -> None:
        say(f"  {time.monotonic() - run_began_s:6.1f} s  {text}")

    say(f"{experiment.name}: {experiment.promise}")
    trial, began_s = Trial(told, run_began_s), time.monotonic()
    try:
        with trial.undo:
            experiment.run(environment, trial)
    except LabMissing as missing:
        return left_out(experiment, str(missing), began_s - run_began_s, say)
    except (AssertionError, RuntimeError, OSError, SubprocessError, ClientError, BotoCoreError) as error:
        trial.check("the experiment went to its end", False, f"{type(error).__name__}: {error}")
    try:
        if experiment.wears:
            environment.workload.renew()
            trial.did("all instances are replaced by UpdateEndpoint")
        _settle(environment, trial)
    except (AssertionError, ClientError, BotoCoreError) as error:
        trial.check("the stack serves as before", False, f"{type(error).__name__}: {error}")
    return _account(experiment, environment, trial, began_s - run_began_s, told)


def left_out[Broken](
    experiment: Experiment[Broken], reason: str, at_s: float, say: Callable[[str], None] = print
) -> TrialReport:
    """The report of one that cannot run here."""
    say(f"{experiment.name}: left out, since {reason}")
    return TrialReport(experiment.name, experiment.promise, at_s, at_s, reason=reason)


def failed[Broken](
    experiment: Experiment[Broken], error: str, began_s: float, ended_s: float, say: Callable[[str], None] = print
) -> TrialReport:
    """The report of one whose stack could not be started or ended."""
    say(f"{experiment.name}: {error}")
    checks = (Check("the stack of the experiment starts and ends", False, error),)
    return TrialReport(experiment.name, experiment.promise, began_s, ended_s, checks=checks)


def total_checks(environment: Environment) -> tuple[Check, ...]:
    """What must be true of all calls of the load together, after its end."""
    calls, checks = environment.load.calls(), []
    for name in environment.load.stream_names:
        summary = summarize([call for call in calls if call.stream == name], environment.load.sent(name))
        lost = sum(summary.failures.values())
        said = f"{summary.sent} = {summary.answered} + {lost} + {summary.open} open"
        checks.append(Check(f"all calls of the {name}: sent = answered + failed", summary.adds_up, said))
    failed = sum(bool(call.failure) for call in calls)
    executed = executed_without_answer(calls)
    claim = "no call was executed twice: calls that were executed without an answer are at most the failed ones"
    return (*checks, Check(claim, executed <= failed, f"{executed} executed without an answer, {failed} failed"))


def seconds(environment: Environment, run_began_s: float) -> tuple[Second, ...]:
    """The endpoint's calls of each second of the run."""
    by_second: dict[int, tuple[list[float], int]] = {}
    for call in environment.load.calls():
        if call.stream != "endpoint":
            continue
        second = int(call.due_s - run_began_s)
        latencies_ms, failed = by_second.get(second, ([], 0))
        by_second[second] = (
            (latencies_ms, failed + 1) if call.failure else ([*latencies_ms, 1000 * call.latency_s], failed)
        )
    return tuple(
        Second(second, len(latencies), failed, percentile(sorted(latencies), 50), percentile(sorted(latencies), 100))
        for second, (latencies, failed) in sorted(by_second.items())
        if second >= 0
    )


def _settle(environment: Environment, trial: Trial) -> None:
    """Until the endpoint serves as before and no call fails."""
    began_s = time.monotonic()
    try:
        environment.workload.wait_in_service(RECOVERED_S)
    except AssertionError as error:
        trial.check("the endpoint serves again by itself", False, error)
        since_s = trial.did("the endpoint is deleted and made again, for the experiments that follow")
        environment.workload.make_endpoint_again()
        until_s = trial.did("it serves")
        trial.allow("calls while it is made again", {"400 ValidationError"}, since_s, until_s)

    def is_steady() -> bool:
        now_s = time.monotonic()
        recent = environment.load.calls(now_s - STEADY_S)
        return now_s - began_s >= STEADY_S and bool(recent) and not any(call.failure for call in recent)

    with suppress(AssertionError):
        until(is_steady, bool, RECOVERED_S)
    steady = is_steady()
    took_s = trial.did("the load is answered as before" if steady else "calls still fail") - began_s
    trial.check("the load is answered as before", steady, f"{took_s:.1f} s")
    status = environment.workload.job_status(environment.workload.steady_job)
    trial.check("the job beside it goes on", status == "InProgress", status)


def _account[Broken: Environment](
    experiment: Experiment[Broken],
    environment: Broken,
    trial: Trial,
    began_s: float,
    told: Callable[[str], None],
) -> TrialReport:
    """Of all calls that were due since the account of the trial before, and so of each call once."""
    load, since_s, ended_s = environment.load, environment.accounted_s, time.monotonic()
    environment.accounted_s = ended_s
    with suppress(AssertionError):
        until(lambda: load.open(ended_s), lambda count: count == 0, LIMIT_S + 15)
    calls, summaries = load.calls(since_s, ended_s), []
    for name in load.stream_names:
        summary = summarize([call for call in calls if call.stream == name], load.sent(name, since_s, ended_s))
        summaries.append((name, summary))
        said = f"{summary.sent} = {summary.answered} + {sum(summary.failures.values())} + {summary.open} open"
        trial.check(f"calls of the {name}: sent = answered + failed", summary.adds_up, said)
        told(f"{name}: {said} {summary.failures or ''}")
    lost = unexcused(calls, trial.allowed)
    trial.check("no other call failed", not lost, told_of(lost, trial.run_began_s) or "0")
    report = TrialReport(
        experiment.name,
        experiment.promise,
        began_s,
        trial.now_s,
        tuple(trial.steps),
        tuple(trial.checks),
        tuple(one.why for one in trial.allowed),
        tuple(summaries),
        outage_s(call for call in calls if call.stream == "endpoint"),
    )
    told(str(report.verdict))
    return report
