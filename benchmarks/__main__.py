"""`python -m benchmarks <scenario> [--rounds N]`: most scenarios need Docker, and the images of `make build`."""

import argparse
import importlib
import sys

SCENARIOS = (
    "training_overhead",
    "job_throughput",
    "download",
    "endpoint_start",
    "invoke_endpoint",
    "update_under_load",
    "serve_overload",
    "serve_speed",
    "compose_up",
    "image_builds",
    "search",
    "early_stopping",
    "scaling",
    "scaling_real_time",
    "access",
    "cycles",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs one scenario, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", choices=(*SCENARIOS, "all"), nargs="?", default="all")
    parser.add_argument("--rounds", type=int, help="of each measurement (default: 5; of cycles 100, in containers 20)")
    parser.add_argument("--docker", action="store_true", help="of cycles: in containers")
    options = parser.parse_args(arguments)
    if options.docker and options.scenario != "cycles":
        parser.error("--docker is for the scenario cycles")
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
