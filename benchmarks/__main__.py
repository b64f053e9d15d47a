"""`python -m benchmarks <scenario> [--rounds N]`: most scenarios need Docker, and the images of `make build`.

`compare` says which scenarios are worse than in the last run on such a machine; `page` brings docs/benchmarks.md and
its picture up to date.
"""

import argparse
import importlib
import sys

from benchmarks import history, page

SCENARIOS = (
    "training_overhead",
    "job_throughput",
    "download",
    "endpoint_start",
    "invoke_endpoint",
    "update_under_load",
    "serve_overload",
    "serve_speed",
    "train",
    "tune",
    "gpu",
    "compose_up",
    "deploy",
    "image_builds",
    "search",
    "early_stopping",
    "scaling",
    "scaling_real_time",
    "access",
    "cycles",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs one scenario, or all of them, or compares the runs that there are: then the exit code is 1 where one is
    worse by more than the noise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", choices=(*SCENARIOS, "all", "compare", "page"), nargs="?", default="all")
    parser.add_argument("--rounds", type=int, help="of each measurement (default: 5; of cycles 100, in containers 20)")
    parser.add_argument("--docker", action="store_true", help="of cycles: in containers")
    options = parser.parse_args(arguments)
    if options.docker and options.scenario != "cycles":
        parser.error("--docker is for the scenario cycles")
    if options.scenario == "compare":
        lines, worse = history.report(history.read())
        print("\n".join(lines))
        return int(worse)
    if options.scenario == "page":
        page.write(history.read())
        return 0
    for name in SCENARIOS if options.scenario == "all" else (options.scenario,):
        scenario = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {(scenario.__doc__ or '').splitlines()[0]}")
        if name == "cycles":
            scenario.main(options.rounds, in_docker=options.docker)
        else:
            scenario.main(options.rounds or 5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
