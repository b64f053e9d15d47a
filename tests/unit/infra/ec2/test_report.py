"""What came of a run, beside the training job: times, cost and weights, as AWS would count them."""

from typing import Any

import pytest

from infra.blueprint import Blueprint
from infra.ec2.outcome import Result
from infra.ec2.report import Outcome, Trained, outcome_of, rows
from infra.prices import prices
from infra.resources.training import next_request
from infra.settings import DeploymentSettings
from tests.unit.infra.ec2.host_machine import INSTANCE, RUN
from tests.unit.infra.ec2.hosts import LOG, MODEL, archive, s3
from tests.unit.infra.fakes import FakeClient, fake_clients, missing
from tests.unit.infra.photos import quiet, text_of

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
JOB_MODEL = "s3://bucket/models/job/output/model.tar.gz"
EPOCH = b"epoch=1 train_loss=0.9 valid_loss=0.8 valid_accuracy=0.5\n"
WEIGHTS = archive(model__safetensors=b"weights")
USD = prices.read()


def usd(usage: str, instance_type: str) -> float:
    """An hour's price by the table."""
    price = USD.find(usage, instance_type, "us-east-1")
    assert price is not None
    return price.usd


def ended(status: str = "Completed", **members: Any) -> Result:
    values = {
        "why": "",
        "instance_id": INSTANCE,
        "life_cycle": "on-demand",
        "gpu": False,
        "training_s": 30,
        "host_s": 90,
    }
    return Result(status=status, **{**values, **members})


def outcome(found: Result, objects: dict[str, bytes], **job: Any) -> Outcome:
    """The outcome of the run with these objects in S3; `job` are members of the training job, which is completed."""
    described = {
        "TrainingJobStatus": "Completed", "BillableTimeInSeconds": 100, "TrainingTimeInSeconds": 120,
        "ModelArtifacts": {"S3ModelArtifacts": JOB_MODEL},
        "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.5}], **job,
    }  # fmt: skip
    answer = described if job.get("TrainingJobStatus") != "none" else missing()
    sagemaker = FakeClient({"describe_training_job": answer})
    return outcome_of(fake_clients(s3=s3(objects), sagemaker=sagemaker), BLUEPRINT, RUN, found)


def test_host_and_job_with_the_same_weights() -> None:
    made = outcome(ended(), {MODEL: WEIGHTS, JOB_MODEL: WEIGHTS, LOG: EPOCH})
    assert (made.run, made.status, made.has_same_weights) == (RUN.name, "Completed", True)
    assert made.host.where == "EC2 host (m5.xlarge)"
    assert made.host.usd == pytest.approx(usd("ec2", "m5.xlarge") * 90 / 3600)
    assert made.host.metrics == {"train:loss": 0.9, "validation:loss": 0.8, "validation:accuracy": 0.5}
    assert made.job is not None
    assert made.job.usd == pytest.approx(usd("training", "ml.m5.xlarge") * 100 / 3600)
    other = outcome(ended(), {MODEL: WEIGHTS, JOB_MODEL: archive(model__safetensors=b"others"), LOG: EPOCH})
    assert other.has_same_weights is False


def test_aws_bills_a_minute_at_least_and_spot_by_its_own_price() -> None:
    made = outcome(ended(host_s=20, life_cycle="spot", gpu=True), {})
    assert made.host.where == "EC2 host (m5.xlarge, spot, GPU)"
    assert made.host.billed_s == 60


def test_a_run_that_did_not_complete_has_no_model_but_one_out_of_time_has() -> None:
    objects = {MODEL: WEIGHTS, JOB_MODEL: WEIGHTS, LOG: EPOCH}
    assert outcome(ended("Interrupted"), objects).host.model == ""
    assert outcome(ended("Interrupted"), objects).has_same_weights is None
    assert outcome(ended("Stopped"), objects).host.model == MODEL
    assert outcome(ended("Failed"), {}).host.metrics == {}


@pytest.mark.parametrize("status", ["none", "InProgress", "Failed", "Stopped"])
def test_without_a_completed_job_the_host_stands_alone(status: str) -> None:
    made = outcome(ended(), {MODEL: WEIGHTS}, TrainingJobStatus=status)
    assert made.job is None
    assert made.has_same_weights is None
    terminal = quiet()
    made.show(terminal)
    assert "No training job of the same settings is completed. make train makes one to compare." in text_of(terminal)


def test_jobs_that_have_failed_do_not_hide_the_one_that_is_completed_after_them() -> None:
    failed = [{"TrainingJobStatus": "Failed"}] * 19
    completed = {"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": JOB_MODEL}}
    sagemaker = FakeClient({"describe_training_job": [*failed, completed, missing()]})
    made = outcome_of(fake_clients(s3=s3({}), sagemaker=sagemaker), BLUEPRINT, RUN, ended())
    assert made.job is not None
    assert made.job.model == JOB_MODEL


def test_the_job_is_that_of_the_same_settings() -> None:
    sagemaker = FakeClient({"describe_training_job": missing()})
    model = BLUEPRINT.settings.models[0]
    outcome_of(fake_clients(s3=s3({}), sagemaker=sagemaker), BLUEPRINT, RUN, ended())
    name = next_request(sagemaker, BLUEPRINT, model)["TrainingJobName"]
    assert {request["TrainingJobName"] for _, request in sagemaker.calls} == {name}


def test_a_row_for_each_figure_with_a_cell_for_each_training() -> None:
    host = Trained("host", 30, 90, None, "", "", {"train:loss": 0.5})
    job = Trained("job", 20, 25, 0.00159, "s3://m", "ab", {"validation:loss": 0.25})
    table = {name: cells for name, *cells in rows([host, job])}
    assert table["Cost on AWS"] == ["price unknown", "$0.0016"]
    assert table["train:loss"] == ["0.5000", ""]
    assert table["validation:loss"] == ["", "0.2500"]
    assert table["SHA-256 of the weights"] == ["", "ab"]
