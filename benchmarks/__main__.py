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
)


def main(arguments: list[str] | None = None) -> int:
    """Runs one scenario, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", choices=(*SCENARIOS, "all"), nargs="?", default="all")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in SCENARIOS if options.scenario == "all" else (options.scenario,):
        scenario = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {(scenario.__doc__ or '').splitlines()[0]}")
        scenario.main(options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
