"""The regrets of Syne Tune's searches, as JSON: runs in the environment `bench-search`, for the scenario `search`.

They are its baselines for one fidelity that need no torch, each with its defaults; CQR is left out, since it takes 20 s
of a core for 30 values.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import BORE, TPE, RandomSearch
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

from benchmarks.search_problems import TRIALS, Problem, regrets


def main() -> int:
    """Prints {baseline: {problem: regrets}}."""
    searches: dict[str, Callable[..., Any]] = {
        "Syne Tune TPE": partial(TPE, metric="value"),
        "Syne Tune BORE": partial(BORE, metric="value"),
        "Syne Tune RandomSearch": partial(RandomSearch, metrics=["value"]),
    }
    found = {name: regrets(partial(best, make)) for name, make in searches.items()}
    json.dump(found, sys.stdout)
    return 0


def best(make: Callable[..., Any], problem: Problem, seed: int) -> float:
    """The least value that the search finds."""
    space = {f"x{number}": uniform(low, high) for number, (low, high) in enumerate(problem.bounds)}
    scheduler = AskTellScheduler(base_scheduler=make(config_space=space, do_minimize=True, random_seed=seed))
    values = []
    for _ in range(TRIALS):
        trial = scheduler.ask()
        values.append(problem.value([trial.config[name] for name in space]))
        scheduler.tell(trial, {"value": values[-1]})
    return min(values)


if __name__ == "__main__":
    sys.exit(main())
