"""Every request must be one that AWS takes: checked against botocore's own models, patterns and lengths included."""

import hashlib
import json
import re
from dataclasses import replace

import pytest

from infra.blueprint import VARIANT, Blueprint, Image, scalable, scaling_requests
from infra.data_bucket.settings import DataSettings
from infra.settings import (
    DeploymentSettings,
    FunctionSettings,
    ModelSettings,
    Ranges,
    ScalingSettings,
    TrainingSettings,
    TuningSettings,
)
from tests.unit.infra.aws_shapes import check

MODEL = ModelSettings()
SETTINGS = DeploymentSettings(hyperparameters={"epochs": "3"})
BLUEPRINT = Blueprint(SETTINGS, "123456789012", "ab" * 32)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST, replace(BLUEPRINT, pretrained=True)])
class TestRequests:
    def test_training_job(self, blueprint: Blueprint) -> None:
        check("sagemaker", "CreateTrainingJob", blueprint.training_request(MODEL))
        check("sagemaker", "CreateTrainingJob", blueprint.training_request(MODEL, attempt=20))

    def test_tuning_job(self, blueprint: Blueprint) -> None:
        ranges = Ranges({"learning-rate": ("0.0003", "0.03")}, {"batch-size": ("32", "64")})
        tuning = TuningSettings(ranges=ranges)
        settings = replace(blueprint.settings, tuning=tuning, hyperparameters={"batch-size": "16", "epochs": "3"})
        request = replace(blueprint, settings=settings).tuning_request()
        check("sagemaker", "CreateHyperParameterTuningJob", request)
        assert len(request["HyperParameterTuningJobName"]) <= 32
        static = {"epochs": "3", "measure-precisions": "false"}
        assert request["TrainingJobDefinition"]["StaticHyperParameters"] == static
        again = replace(blueprint, settings=settings).tuning_request(attempt=2)
        assert again["HyperParameterTuningJobName"] != request["HyperParameterTuningJobName"]

    def test_features_of_a_search(self, blueprint: Blueprint) -> None:
        tuning = TuningSettings(ranges=Ranges({"learning-rate": ("0.0003", "0.03")}, {"batch-size": ("32", "64")}))
        of = {"crop": "1.0", "epochs": "3"}
        searching = replace(blueprint, settings=replace(blueprint.settings, tuning=tuning, hyperparameters=of))
        job = searching.features_request(2)
        check("sagemaker", "CreateTrainingJob", job)
        assert job["HyperParameters"] == {"crop": "1.0", "features-only": "true"}
        other = replace(searching, settings=replace(searching.settings, hyperparameters={**of, "epochs": "9"}))
        assert other.features_request(2) == job  # computed once for both
        request = searching.tuning_request(features_job=job["TrainingJobName"])
        check("sagemaker", "CreateHyperParameterTuningJob", request)
        *others, channel = request["TrainingJobDefinition"]["InputDataConfig"]
        assert {other["ChannelName"] for other in others} <= {"pretrained"}  # it needs no photos
        prefix = f"{job['OutputDataConfig']['S3OutputPath']}/{job['TrainingJobName']}/output/"
        assert (channel["ChannelName"], channel["DataSource"]["S3DataSource"]["S3Uri"]) == ("features", prefix)

    @pytest.mark.parametrize(
        ("hyperparameters", "tuned", "is_worth_it"),
        [
            ({}, {"batch-size": ("32", "64")}, True),
            ({"fine-tune": "full"}, {"batch-size": ("32", "64")}, False),
            ({}, {"crop": ("0.8", "1.0")}, False),
            ({}, {"fine-tune": ("head", "full")}, False),
        ],
    )
    def test_only_a_search_of_heads_on_the_same_features_computes_them_first(
        self,
        hyperparameters: dict[str, str],
        tuned: dict[str, tuple[str, ...]],
        is_worth_it: bool,
        blueprint: Blueprint,
    ) -> None:
        tuning = TuningSettings(ranges=Ranges({}, tuned))
        settings = replace(blueprint.settings, tuning=tuning, hyperparameters=hyperparameters)
        assert replace(blueprint, settings=settings).searches_with_features is is_worth_it

    def test_model(self, blueprint: Blueprint) -> None:
        name = blueprint.training_request(MODEL, 20)["TrainingJobName"]
        uri = f"s3://{blueprint.bucket}/models/{name}/output/model.tar.gz"
        request = blueprint.model_request(name)
        check("sagemaker", "CreateModel", request)
        assert request["PrimaryContainer"]["ModelDataUrl"] == uri

    def test_endpoint(self, blueprint: Blueprint) -> None:
        request = blueprint.endpoint_config_request(MODEL, blueprint.training_request(MODEL)["TrainingJobName"])
        check("sagemaker", "CreateEndpointConfig", request)
        names = {"EndpointName": blueprint.endpoint(MODEL), "EndpointConfigName": request["EndpointConfigName"]}
        check("sagemaker", "CreateEndpoint", names)

    def test_scaling(self, blueprint: Blueprint) -> None:
        target, policy = scaling_requests(scalable(blueprint.endpoint(MODEL)), ScalingSettings(1, 4, 25, 30, 5))
        check("application-autoscaling", "RegisterScalableTarget", target)
        check("application-autoscaling", "PutScalingPolicy", policy)

    def test_function(self, blueprint: Blueprint) -> None:
        check("lambda", "CreateFunction", {**blueprint.function_request(), "Code": {"ZipFile": b"zip"}})

    def test_function_url(self, blueprint: Blueprint) -> None:
        check("lambda", "CreateFunctionUrlConfig", blueprint.function_url_request())
        for request in blueprint.function_url_permissions():
            check("lambda", "AddPermission", request)

    def test_bucket(self, blueprint: Blueprint) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", blueprint.bucket)


def test_the_same_settings_and_data_give_the_same_names() -> None:
    assert Blueprint(SETTINGS, "123456789012", "ab" * 32).training_request(MODEL) == BLUEPRINT.training_request(MODEL)


@pytest.mark.parametrize(
    "other",
    [
        replace(BLUEPRINT, data_digest="00" * 32),
        replace(BLUEPRINT, settings=replace(SETTINGS, hyperparameters={"epochs": "4"})),
        replace(BLUEPRINT, pretrained=True),
    ],
)
def test_other_settings_or_data_give_another_job(other: Blueprint) -> None:
    assert other.training_request(MODEL)["TrainingJobName"] != BLUEPRINT.training_request(MODEL)["TrainingJobName"]


@pytest.mark.parametrize("training", [TrainingSettings("ml.g5.xlarge"), TrainingSettings(instances=2)])
def test_another_training_has_another_job(training: TrainingSettings) -> None:
    other = BLUEPRINT.training_request(ModelSettings(training=training))
    assert other["TrainingJobName"] != BLUEPRINT.training_request(MODEL)["TrainingJobName"]


def test_models_that_are_trained_alike_have_one_job_and_an_endpoint_each() -> None:
    one, two = ModelSettings("one"), ModelSettings("two")
    blueprint = replace(
        BLUEPRINT, settings=replace(SETTINGS, models=(one, two), function=FunctionSettings(model="two"))
    )
    assert blueprint.training_request(one) == blueprint.training_request(two)
    assert blueprint.endpoints == ["stagemaker-demo-one", "stagemaker-demo-two"]
    assert blueprint.called_endpoint == "stagemaker-demo-two"
    assert blueprint.function_request()["Environment"]["Variables"]["ENDPOINT_NAME"] == "stagemaker-demo-two"


def images(trainer: Image, serve: Image) -> tuple[str, str, str]:
    """The names of the training job, the tuning job and the model with these."""
    blueprint = replace(BLUEPRINT, images={"trainer": trainer, "serve": serve})
    job = blueprint.training_request(MODEL)["TrainingJobName"]
    return job, blueprint.tuning_request()["HyperParameterTuningJobName"], blueprint.model_request(job)["ModelName"]


def test_what_another_image_makes_anew() -> None:
    trainer, serve = Image("trainer@sha256:1", "files"), Image("serve@sha256:2", "files")
    job, search, model = images(trainer, serve)
    assert images(Image("trainer@sha256:3", "files"), serve) == (job, search, model)
    other_files = images(Image("trainer@sha256:4", "other files"), serve)
    assert not {job, search, model} & set(other_files)
    other_serve = images(trainer, Image("serve@sha256:5", "other files"))
    assert other_serve[:2] == (job, search)
    assert other_serve[2] != model


def test_images_of_the_registry_are_named_by_their_references() -> None:
    blueprint = replace(BLUEPRINT, images={"trainer": Image("t@sha256:1", "x"), "serve": Image("s@sha256:2", "x")})
    training = blueprint.training_request(MODEL)["AlgorithmSpecification"]["TrainingImage"]
    tuning = blueprint.tuning_request()["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"]
    assert training == tuning == "t@sha256:1"
    assert blueprint.model_request("job")["PrimaryContainer"]["Image"] == "s@sha256:2"


def test_a_loss_is_made_small() -> None:
    settings = replace(SETTINGS, tuning=TuningSettings(objective="validation:loss"))
    request = replace(BLUEPRINT, settings=settings).tuning_request()
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Minimize", "MetricName": "validation:loss"}


def test_tags_of_the_settings() -> None:
    made = replace(BLUEPRINT, settings=replace(SETTINGS, tags={"team": "dogs"}))
    assert {"Key": "team", "Value": "dogs"} in made.tags
    assert BLUEPRINT.tags[0] in made.tags


def test_each_attempt_has_a_name_of_its_own_and_the_same_content() -> None:
    first, second = BLUEPRINT.training_request(MODEL), BLUEPRINT.training_request(MODEL, 2)
    assert second.pop("TrainingJobName") == first.pop("TrainingJobName") + "-2"
    assert first == second


def test_channels() -> None:
    def names(blueprint: Blueprint) -> list[str]:
        return [channel["ChannelName"] for channel in blueprint.training_request(MODEL)["InputDataConfig"]]

    assert names(BLUEPRINT) == ["train", "valid"]
    assert names(replace(BLUEPRINT, pretrained=True)) == ["train", "valid", "pretrained"]


def test_one_variant_takes_all_traffic() -> None:
    (variant,) = BLUEPRINT.endpoint_config_request(MODEL, "a-model")["ProductionVariants"]
    assert (variant["VariantName"], variant["ModelName"]) == (VARIANT, "a-model")


def test_a_function_url_is_for_the_pages_that_are_named() -> None:
    assert BLUEPRINT.function_url_request()["Cors"] == {}
    origins = ("http://localhost:3000",)
    settings = replace(SETTINGS, function=FunctionSettings(url=True, origins=origins))
    cors = replace(BLUEPRINT, settings=settings).function_url_request()["Cors"]
    assert (cors["AllowOrigins"], cors["AllowMethods"]) == (list(origins), ["POST"])


def test_a_job_on_spot_instances_has_checkpoints_of_its_own() -> None:
    model = ModelSettings(training=TrainingSettings(spot=True, limit_s=600, max_wait_s=900))
    blueprint = replace(BLUEPRINT, settings=replace(SETTINGS, models=(model,)))
    request = blueprint.training_request(model, attempt=2)
    check("sagemaker", "CreateTrainingJob", request)
    assert request["EnableManagedSpotTraining"]
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}
    name = request["TrainingJobName"]
    assert request["CheckpointConfig"] == {"S3Uri": f"s3://{blueprint.bucket}/checkpoints/{name}"}
    assert "EnableManagedSpotTraining" not in BLUEPRINT.training_request(MODEL)


def test_tensorboard_files_lie_beside_the_model_and_train_nothing_anew() -> None:
    request = BLUEPRINT.training_request(MODEL)
    assert request["TensorBoardOutputConfig"] == request["OutputDataConfig"]
    name = request.pop("TrainingJobName")
    del request["TensorBoardOutputConfig"]
    content = json.dumps({**request, "data": BLUEPRINT.data_digest}, sort_keys=True)
    assert name == f"stagemaker-demo-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def test_a_search_on_spot_instances_shares_no_checkpoints() -> None:
    model = ModelSettings(training=TrainingSettings(spot=True))
    request = replace(BLUEPRINT, settings=replace(SETTINGS, models=(model,))).tuning_request()
    check("sagemaker", "CreateHyperParameterTuningJob", request)
    definition = request["TrainingJobDefinition"]
    assert definition["EnableManagedSpotTraining"]
    assert definition["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert "CheckpointConfig" not in definition


def test_photos_in_a_bucket_of_another_account_are_the_channels_of_every_job() -> None:
    data = DataSettings("photos", "210987654321", "sets")
    blueprint = Blueprint(replace(SETTINGS, data=data), "123456789012", "ab" * 32, pretrained=True)
    tuned = blueprint.tuning_request()["TrainingJobDefinition"]
    for request in (blueprint.training_request(MODEL), blueprint.features_request(), tuned):
        channels = {
            one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in request["InputDataConfig"]
        }
        assert channels == {
            "train": "s3://photos/sets/train/",
            "valid": "s3://photos/sets/valid/",
            "pretrained": f"s3://{blueprint.bucket}/pretrained/",
        }
        assert request["OutputDataConfig"]["S3OutputPath"].startswith(f"s3://{blueprint.bucket}/")
    check("sagemaker", "CreateTrainingJob", blueprint.training_request(MODEL))
    assert blueprint.training_request(MODEL)["TrainingJobName"] != BLUEPRINT.training_request(MODEL)["TrainingJobName"]
