"""Tuning, transform and managed spot training by AWS's own SDKs: the blocks of docs/clients.md, and more calls."""

import re

import pytest

from tests.clients.page import Reader, python

SDK_2 = """
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner

session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
data = "s3://clients/data/train/"
metrics = [{"Name": "validation:accuracy", "Regex": "valid_accuracy=([0-9.]+)"}]
rates = {"learning-rate": ContinuousParameter(0.001, 0.1)}
def estimator(**more):
    return Estimator("stagemaker/trainer", role, 1, "ml.m5.large", sagemaker_session=session,
        output_path="s3://clients/models", metric_definitions=metrics, **more)
def tuner(name, **more):
    objective = "validation:accuracy"
    return HyperparameterTuner(estimator(**more), objective, rates, metrics, max_jobs=1, base_tuning_job_name=name)
"""

SPOT = """
from sagemaker.analytics import TrainingJobAnalytics
spot = estimator(hyperparameters={"seconds": 3}, use_spot_instances=True, max_run=600, max_wait=600)
spot.fit(data)
print(TrainingJobAnalytics(spot.latest_training_job.name, sagemaker_session=session).dataframe().to_csv(index=False))
"""

WARM_START = """
parent = tuner("parent")
parent.fit(data)
child = parent.identical_dataset_and_algorithm_tuner()
child.base_tuning_job_name, child.metric_definitions = "child", metrics
child.fit(data)
parents = child.describe()["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
print([each["HyperParameterTuningJobName"] for each in parents])
predictor = child.deploy(1, "ml.m5.large", image_uri="stagemaker/serve", wait=False)
print("endpoint:", predictor.endpoint_name)
predictor.delete_model()
"""

TWO_ESTIMATORS = """
names = ("a", "b")
both = HyperparameterTuner.create(
    {name: estimator() for name in names}, dict.fromkeys(names, "validation:accuracy"), dict.fromkeys(names, rates),
    metric_definitions_dict=dict.fromkeys(names, metrics), max_jobs=2, base_tuning_job_name="both")
both.fit(dict.fromkeys(names, data), include_cls_metadata=dict.fromkeys(names, False))
both = HyperparameterTuner.attach(both.latest_tuning_job.name, session)
print(sorted(each["TrainingJobDefinitionName"] for each in both.analytics().training_job_summaries()))
print("best of both:", both.best_training_job())
"""

SDK_3_MORE = """
from sagemaker.train.configs import StoppingCondition
print(tuner.analytics().dataframe().sort_values("FinalObjectiveValue")[["learning-rate", "FinalObjectiveValue"]])
found = HyperParameterTuningJob.get(tuner.describe().hyper_parameter_tuning_job_name)
print("its jobs:", sorted(each.training_job_status for each in found.get_all_training_jobs()))
spot = ModelTrainer(
    training_image="stagemaker/trainer", role=role, sagemaker_session=Session(default_bucket="clients"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1, enable_managed_spot_training=True),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600, max_wait_time_in_seconds=600),
    output_data_config=OutputDataConfig(s3_output_path="s3://clients/models"), base_job_name="spot-sdk3")
spot.train()
print("spot:", [each.enable_managed_spot_training for each in TrainingJob.get_all(name_contains="spot-sdk3")])
"""

HYPERBAND = """
from sagemaker.tuner import HyperbandStrategyConfig, StrategyConfig
band = HyperparameterTuner(
    estimator(hyperparameters={"epochs": 3, "seconds": 0.5}), "validation:accuracy", rates, metrics, "Hyperband",
    strategy_config=StrategyConfig(HyperbandStrategyConfig(max_resource=3, min_resource=1)), max_jobs=4,
    max_parallel_jobs=4, base_tuning_job_name="band")
band.fit(data)
band = HyperparameterTuner.attach(band.latest_tuning_job.name, session)
print(band.describe()["HyperParameterTuningJobConfig"]["StrategyConfig"])
print("ended:", sorted({job["TrainingJobStatus"] for job in band.analytics().training_job_summaries()}))
print("best of the brackets:", band.best_training_job())
"""

AUTOTUNE = """
auto = HyperparameterTuner(
    estimator(hyperparameters={"learning-rate": 0.1, "epochs": 1}), "validation:accuracy", None, metrics, "Random",
    max_jobs=3, max_parallel_jobs=3, autotune=True, hyperparameters_to_keep_static=["epochs"],
    base_tuning_job_name="auto")
auto.fit(data)
print("asked:", auto.describe()["HyperParameterTuningJobConfig"]["ParameterRanges"]["AutoParameters"])
rates = auto.analytics().dataframe()["learning-rate"].astype(float)
print("around the hint:", len(rates), rates.between(0.01, 1).all(), rates.nunique() > 1)
print("best of what was chosen:", auto.best_training_job())
"""

STOP = """
long = tuner("long", hyperparameters={"seconds": 60})
long.fit(data, wait=False)
long.stop_tuning_job()
long.wait()
print(long.describe()["HyperParameterTuningJobStatus"])
"""


def test_sdk_2_tunes_attaches_and_transforms(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", reader.text("Tuning, transform and spot (SageMaker SDK 2.257)"))
    assert "Managed Spot Training savings: " in printed
    table = re.findall(r"^\d +(0\.\d+) +(0\.\d+)$", printed, re.MULTILINE)
    assert [float(accuracy) for _, accuracy in table] == [pytest.approx(1 - float(rate), abs=1e-3) for rate, _ in table]
    assert len(table) == 2
    assert "best: by-sdk2-" in printed
    assert printed.rstrip().endswith("by-sdk2/digit-3/1.png.out")


def test_sdk_3_tunes_and_transforms(reader: Reader) -> None:
    block = reader.text("Tuning and transform (SageMaker SDK 3.27)")
    printed = reader.run(python("clients-sdk3"), "-c", block + SDK_3_MORE)
    assert "\nby-sdk3: Completed\n" in f"\n{printed}"  # the transform job
    assert re.search(r"^by-sdk3-[-0-9]+: Completed$", printed, re.MULTILINE)  # the tuning job
    assert len(re.findall(r"^\d +0\.\d+ +0\.\d+$", printed, re.MULTILINE)) == 2  # the table of its training jobs
    assert "its jobs: ['Completed', 'Completed']" in printed
    assert "spot: [True]" in printed


def test_sdk_2_says_what_spot_saves_and_reads_the_metrics(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + SPOT)
    savings = re.search(r"Managed Spot Training savings: ([0-9.]+)%", printed)
    assert savings
    assert float(savings[1]) > 50
    assert "0.0,validation:accuracy,0.5\n" in printed


def test_sdk_2_starts_from_an_earlier_tuning_job_and_deploys_its_best(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + WARM_START)
    assert "\n['parent-" in printed
    assert "\nendpoint: child-" in printed


def test_sdk_2_tunes_two_estimators(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + TWO_ESTIMATORS)
    assert "\n['a', 'b']\n" in f"\n{printed}"
    assert "\nbest of both: both-" in printed


def test_sdk_2_tunes_by_hyperband(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + HYPERBAND)
    assert "{'HyperbandStrategyConfig': {'MinResource': 1, 'MaxResource': 3}}" in printed
    assert re.search(r"ended: \['Completed'(, 'Stopped')?\]", printed)
    assert "best of the brackets: band-" in printed


def test_sdk_2_lets_the_ranges_be_chosen(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + AUTOTUNE)
    assert "asked: [{'Name': 'learning-rate', 'ValueHint': '0.1'}]" in printed
    assert "around the hint: 3 True True" in printed
    assert "best of what was chosen: auto-" in printed


def test_sdk_2_stops_a_tuning_job(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + STOP)
    assert printed.endswith("\nStopped\n")
