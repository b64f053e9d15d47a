"""What each scene says on the page, from what AWS answered."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.ec2.report import Outcome, Trained
from infra.engine import Step
from infra.load.summary import figures_of
from infra.presets import find
from infra.presets import read as read_preset
from infra.prices import prices
from infra.rehearse import calls, costs, denied, deploy, host, loads, policies, search
from infra.rehearse.calls import Call
from infra.rehearse.costs import Spent
from infra.rehearse.rehearsal import as_played
from infra.resources.resource import Change
from infra.resources.tuning import Trial
from infra.settings import DeploymentSettings, FunctionSettings, Ranges, ScalingSettings, TuningSettings
from tests.unit.infra.load.runs import a_run
from tests.unit.infra.rehearse.jobs import BEGAN, a_job


def preset(letter: str) -> DeploymentSettings:
    return read_preset(find(letter))


def test_processes_train_on_one_instance_and_containers_on_as_many_as_the_preset_says() -> None:
    b = preset("b")
    assert [model.training.instances for model in as_played(b, in_containers=False).models] == [1, 1]
    assert [model.training.instances for model in as_played(b, in_containers=True).models] == [1, 2]
    assert as_played(b, in_containers=True).notebook is None


def test_a_search_names_its_best_and_what_was_stopped() -> None:
    settings = TuningSettings(jobs=2, parallel=1, ranges=Ranges({"learning-rate": ("0.001", "0.1")}))
    found = [
        Trial("dogs-1234567890-001-abcd", "Completed", {"learning-rate": "0.01"}, 0.9, BEGAN, BEGAN + timedelta(0, 12)),
        Trial("dogs-1234567890-002-abcd", "Stopped", {"learning-rate": "0.05"}, None),
    ]
    section = search.section(found, found[0].name, settings, 40.4, ())
    assert section.tables[0].rows == (
        ("1", "0.01", "0.9000 (best)", "Completed", "12"),
        ("2", "0.05", "none", "Stopped early", ""),
    )
    assert "2 training jobs, 1 at once" in section.sentences[0]
    assert "(1 stopped), in 40 s" in section.sentences[0]
    assert section.here["tuning"] == "2 jobs, 1 at once, 40 s; best: learning-rate=0.01"


def test_a_training_that_had_fewer_instances_than_the_preset_says_so() -> None:
    b = preset("b")
    jobs = {"single": a_job("dogs-b-1"), "multi": a_job("dogs-b-1")}
    endpoints = {"dogs-b-single": b.models[0], "dogs-b-multi": b.models[1]}
    section = deploy.section("It is made.", jobs, endpoints, dict.fromkeys(endpoints, "90 % right"), b)
    assert [sentence for sentence in section.sentences if "1 instance here, and on 2" in sentence]
    assert section.here["training"] == "1 x ml.m5.xlarge, 36 s", "the two models have one job"
    jobs = {"single": a_job("dogs-b-1"), "multi": a_job("dogs-b-2", instances=2)}
    section = deploy.section("It is made.", jobs, endpoints, dict.fromkeys(endpoints, "90 % right"), b)
    assert section.sentences == ("It is made.",)
    assert section.here["training"] == "1 x ml.m5.xlarge, 36 s; 2 x ml.m5.xlarge, 36 s"
    assert section.tables[0].rows[1] == ("multi", "dogs-b-2", "2 x ml.m5.xlarge", "36", "", "", "0.9100")


def test_the_denied_call_and_the_drift_are_shown() -> None:
    change = Change("statement InvokeOneEndpoint", None, {"Effect": "Allow"})
    step = Step("Role of the function", "dogs-lambda", "update", (change,))
    section = denied.section("dogs-lambda", {"body": '{"error": "AccessDeniedException"}'}, [step])
    assert "AccessDenied" in section.code
    assert section.tables[0].rows == (("update", "Role of the function", str(change)),)
    assert "dogs-lambda" in section.sentences[0]


def test_a_call_is_shown_in_the_system_s_own_form_with_its_times() -> None:
    event = {"endpoint_name": "dogs", "request_dict": '{"s3": "s3://b/k"}'}
    made = [Call("cold", event, [56], 900.4, 600.2), Call("waits", event, [56], 41.0, None)]
    made.append(Call("warm", event, [56], 30.2, None))
    section = calls.section(made, FunctionSettings(system="C", reserved=100, provisioned=2), "It means a dog.")
    assert section.title == "The function, in the form of system C"
    assert section.tables[0].rows == (("cold", "900", "600"), ("waits", "41", "none"), ("warm", "30", "none"))
    assert '"request_dict"' in section.code
    assert section.here["concurrency"].startswith("100 reserved, 2 provisioned")
    assert section.here["concurrency"].endswith("first call of $LATEST 900 ms, of live 41 ms")
    assert json.dumps(event) in section.here["function"]


@pytest.mark.parametrize(("weights", "told"), [("aa", "the same weights"), ("bb", "not the same"), ("", "cannot be")])
def test_the_host_and_the_job_are_side_by_side(weights: str, told: str) -> None:
    on_host = Trained("EC2 host (m5.xlarge)", 20, 95, 0.0051, "s3://b/h.tar.gz", weights, {"validation:loss": 0.5})
    job = Trained("Training job (ml.m5.xlarge)", 21, 40, None, "s3://b/j.tar.gz", "aa", {"validation:loss": 0.5})
    section = host.section(Outcome("dogs-1", "Completed", "", on_host, job), "spot")
    (table,) = section.tables
    assert table.header == ("", "EC2 host (m5.xlarge)", "Training job (ml.m5.xlarge)")
    assert ("Cost on AWS", "$0.0051", "price unknown") in table.rows
    assert ("validation:loss", "0.5000", "0.5000") in table.rows
    assert told in section.sentences[0]
    assert "spot was asked for" in section.sentences[0]
    assert section.here["ec2"].startswith("EC2 host (m5.xlarge): 20 s")


def test_a_load_shows_its_requests_its_activities_and_a_picture() -> None:
    scaling = ScalingSettings(1, 4, 25)
    told = "time is compressed 12 times: a minute of AWS takes 5 s"
    scaled, plain = (figures_of(a_run(title, compressed=told)) for title in ("dogs-scaled", "dogs-plain"))
    section = loads.section([scaled, {**plain, "activities": []}], scaling)
    assert section.title == "The endpoint with scaling, and one without"
    assert section.tables[0].header == ("", "dogs-scaled", "dogs-plain")
    assert [table.title for table in section.tables] == ["Requests", "Scaling activities of dogs-scaled"]
    assert "up to 2 instances, by 1 scaling activities" in section.sentences[0]
    assert "Time is compressed 12 times: a minute of AWS takes 5 s." in section.sentences
    assert section.pictures[0].startswith("<svg")


@pytest.mark.parametrize(
    ("letter", "scaled", "plain"), [("a", "single", []), ("d", "scaled", ["plain"]), ("e", "", [])]
)
def test_only_endpoints_of_the_same_training_are_compared(letter: str, scaled: str, plain: list[str]) -> None:
    settings = preset(letter)
    model = loads.scaling_model(settings)
    assert model is not None
    assert model.name == scaled
    assert [one.name for one in loads.plain_models(settings, model)] == plain


def test_a_system_without_scaling_has_no_such_model() -> None:
    a = preset("a")
    assert loads.scaling_model(replace(a, models=a.models[1:])) is None


@pytest.mark.parametrize(("settings", "factor"), [
    (None, 12), (ScalingSettings(1, 4, 25), 20), (ScalingSettings(1, 3, 50), 12), (ScalingSettings(1, 3, 100), 12),
])  # fmt: skip
def test_time_is_compressed_as_far_as_the_load_stays_small(settings: ScalingSettings | None, factor: int) -> None:
    assert loads.compression_for(settings) == factor


def test_the_folders_of_the_classes_are_one_in_the_policies() -> None:
    statement = {
        "Action": "s3:GetObject",
        "Resource": [f"arn:aws:s3:::b/data/train/{name}/*" for name in ("cat", "dog")],
    }
    report = {"Policy": {"Statement": [statement]}}
    section = policies.section({"training": report, "caller": report}, ("cat", "dog"))
    (table,) = section.tables
    assert table.title == "Role training"
    assert table.rows == (("s3:GetObject", "arn:aws:s3:::b/data/train/<class>/*"),)
    assert "training 1, caller 1" in section.sentences[0]


def test_the_cost_of_a_run_is_by_the_seconds_and_says_what_is_not_known() -> None:
    assert costs.of_jobs("the search", [a_job("1"), a_job("2", seconds=64)]) == Spent(
        "the search", "training", "ml.m5.xlarge", 1, 100
    )
    known, unknown = Spent("a job", "training", "ml.m5.xlarge", 2, 1800), Spent("b", "training", "ml.none.xlarge", 1, 9)
    found = prices.read()
    price = found.find("training", "ml.m5.xlarge", "us-east-1")
    assert price is not None
    section = costs.section([known, unknown], found, "us-east-1", ["a line"])
    rows = section.tables[0].rows
    assert rows[0] == ("a job", "2 x ml.m5.xlarge", "1800", f"{price.usd:.4f}")
    assert rows[1][-1] == "price unknown"
    assert rows[2] == ("what is known", "", "", f"{price.usd:.4f}")
    assert section.code == "a line"
