"""The regrets of the search of tuning jobs, as JSON: runs in the environment `plugin`, for the scenario `search`."""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.search_problems import TRIALS, Problem, regrets
from stagemaker.core.kinds import TUNING_JOB
from stagemaker.core.refs import Ref, Scope
from stagemaker.tuning.plan import tuning_plan
from stagemaker.tuning.search import Search

METRIC = {"Name": "value", "Regex": "value=(.*)"}


def main() -> int:
    """Prints {strategy: {problem: regrets}}."""
    json.dump({strategy: regrets(partial(best, strategy)) for strategy in ("Bayesian", "Random")}, sys.stdout)
    return 0


def best(strategy: str, problem: Problem, seed: int) -> float:
    """The least value that the training jobs of a tuning job would find."""
    names = [f"x{number}" for number in range(len(problem.bounds))]
    ranges = [
        {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": "Linear"}
        for name, (low, high) in zip(names, problem.bounds, strict=True)
    ]
    request = {
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "value"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"ContinuousParameterRanges": ranges},
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {"MetricDefinitions": [METRIC]},
            "ResourceConfig": {},
        },
    }
    plan = tuning_plan(Ref(Scope("000000000000", "us-east-1"), TUNING_JOB, "search"), request)
    values = []
    with tempfile.TemporaryDirectory() as folder:
        search = Search(Path(folder) / "study", "search", plan, plan.definitions[0], seed)
        for number in range(TRIALS):
            trial = search.ask(str(number))
            if trial is None:
                raise RuntimeError("A continuous range has no end.")
            values.append(problem.value([float(trial.tuned[name]) for name in names]))
            search.tell(trial, values[-1], stopped_early=False)
    return min(values)


if __name__ == "__main__":
    sys.exit(main())
