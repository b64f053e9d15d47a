"""`python -m tests.chaos`: breaks the stack in containers, part by part, under a steady load, and writes a page of it.

It needs Docker and the images localstack and lambda. A second engine, for the experiments that break an engine, a disk
or a clock, needs root on Linux; else they are left out, and the page says so.
"""

import argparse
import json
import os
import platform
import random
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.paths import CHECKOUT, paths
from tests.chaos.lab import Lab, LabMissing, lab_environment
from tests.chaos.order import choose
from tests.chaos.page import page
from tests.chaos.report import Check, RunReport, Second, TrialReport, Verdict
from tests.chaos.runner import failed, left_out, run_trial, seconds, total_checks
from tests.chaos.stack import container_environment
from tests.chaos.table import LAB, NAMES, PROMISES, QUICK, STACK

MINUTES = 20.0
RATE_PER_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when every promise that was tried held, 1 when one did not, 2 for wrong arguments, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the order (default: by chance; it is printed)")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these experiments; `quick`: those of CI")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="begin no experiment later (default: %(default)g)"
    )
    parser.add_argument(
        "--rate", type=float, default=RATE_PER_S, help="calls of the endpoint a second (default: %(default)g)"
    )
    parser.add_argument("--list", action="store_true", help="name the experiments and what each tries")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(f"{name:20} {promise}" for name, promise in PROMISES.items()))
        return 0
    seed = random.randrange(10_000) if options.seed is None else options.seed  # noqa: S311 - an order, not a secret
    only = QUICK if options.only == "quick" else tuple(name for name in options.only.split(",") if name)
    try:
        order = choose(NAMES, only, seed)
    except ValueError as error:
        parser.error(str(error))
    try:
        with Interrupts():
            report = run(order, seed, options.minutes, options.rate, options.only)
    except StepFailed as error:
        print(f"{error.reason} {error.next_step}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was started is removed.", file=sys.stderr)
        return 130
    held = sum(trial.verdict is Verdict.HELD for trial in report.trials)
    print(f"\n{held} of {len(report.trials)} promises held. {write(report)}")
    return 0 if report.held else 1


def run(order: list[str], seed: int, minutes: float, rate_per_s: float, only: str) -> RunReport:
    """Run these experiments in this order."""
    run = _Run(minutes * 60, rate_per_s)
    print(f"seed {seed}: {', '.join(order)}", flush=True)
    run.all(order)
    command = ["make", "chaos", f"SEED={seed}", *([f"ONLY={only}"] if only else [])]
    return RunReport(
        seed=seed,
        command=shlex.join(command),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=_output_of("git", "describe", "--always", "--dirty"),
        machine=f"{os.cpu_count()} cores, Linux {platform.release()}, Docker "
        + _output_of("docker", "version", "--format", "{{.Server.Version}}"),
        rate_per_s=rate_per_s,
        trials=tuple(run.trials),
        seconds=run.seconds,
        checks=run.checks,
    )


class _Run:
    """The stack in containers from the first experiment to the last; the second engine from the first that needs it."""

    def __init__(self, limit_s: float, rate_per_s: float) -> None:
        self._began_s = time.monotonic()
        self._end_s, self._rate_per_s = self._began_s + limit_s, rate_per_s
        self._lab: Lab | None = None
        self._lab_missing = ""
        self.trials: list[TrialReport] = []
        self.seconds: tuple[Second, ...] = ()
        self.checks: tuple[Check, ...] = ()

    def all(self, order: list[str]) -> None:
        """Everything, and the clean-up."""
        on_stack = {experiment.name: experiment for experiment in STACK}
        on_lab = {experiment.name: experiment for experiment in LAB}
        with container_environment(self._rate_per_s) as environment, ExitStack() as ends:
            for name in order:
                experiment = on_stack.get(name) or on_lab[name]
                if time.monotonic() > self._end_s:
                    self.trials.append(left_out(experiment, "the time was up", self._at_s(), _say))
                elif name in on_stack:
                    self.trials.append(run_trial(on_stack[name], environment, self._began_s, _say))
                else:
                    self.trials.append(self._on_lab(name, ends))
            stopped = environment.workload.stop_steady_job()
            kept = environment.workload.checkpoints(environment.workload.steady_job)
            environment.load.stop()
            self.seconds = seconds(environment, self._began_s)
            self.checks = (
                *total_checks(environment),
                Check("the job beside everything is Stopped at the end", stopped == "Stopped", stopped),
                Check("its checkpoint is in S3", len(kept) == 1, str(kept)),
            )
        left = environment.engine.made(environment.network)
        self.checks += (Check("nothing of the stack is left", left == [], str(left)),)

    def _on_lab(self, name: str, ends: ExitStack) -> TrialReport:
        experiment, began_s = next(one for one in LAB if one.name == name), self._at_s()
        try:
            if self._lab_missing:
                raise LabMissing(self._lab_missing)
            if self._lab is None:
                _say("a second engine is started")
                self._lab = Lab()
                ends.callback(self._lab.close)
                self._lab.start()
            with lab_environment(self._lab, self._rate_per_s) as environment:
                return run_trial(experiment, environment, self._began_s, _say)
        except LabMissing as missing:
            self._lab_missing = str(missing)
            return left_out(experiment, self._lab_missing, self._at_s(), _say)
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            return failed(experiment, f"{type(error).__name__}: {error}", began_s, self._at_s(), _say)

    def _at_s(self) -> float:
        return time.monotonic() - self._began_s


def write(report: RunReport) -> str:
    """Write the page and the figures beside each other; where they are, in one sentence."""
    folder = paths().state / "chaos"
    folder.mkdir(parents=True, exist_ok=True)
    name = report.when[:19].replace(":", "").replace("T", "-")
    (folder / f"{name}.html").write_text(page(report))
    (folder / f"{name}.json").write_text(json.dumps(report.document(), indent=2) + "\n")
    shown = folder / f"{name}.html"
    return f"The page: {shown.relative_to(CHECKOUT) if shown.is_relative_to(CHECKOUT) else shown}"


def _say(text: str) -> None:
    print(text, flush=True)


def _output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(CHECKOUT)).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
