"""Which resources a deployment has, in which order, and which of a project there may be to delete."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra import engine
from infra.blueprint import Blueprint
from infra.clients import Target
from infra.data.dataset import Dataset, load
from infra.data_bucket.settings import DataSettings
from infra.data_bucket.stored import StoredDataset
from infra.deployment import (
    Deployment,
    best_hyperparameters,
    data_of,
    deployment_of,
    existing,
    load_data,
    settings_of,
)
from infra.errors import StepFailed
from infra.hyperparameters import DRAWINGS
from infra.hyperparameters import PHOTOS as PHOTO
from infra.notebook.settings import NotebookSettings
from infra.resources import titles
from infra.resources.objects import File
from infra.resources.resource import Resource
from infra.settings import DeploymentSettings, EndpointSettings, ModelSettings, TrainingSettings
from infra.terminal import Terminal
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing
from tests.unit.infra.photos import quiet, text_of, write_photo, write_set
from tests.unit.infra.stage import saying

BLUEPRINT = Blueprint(DeploymentSettings(), ACCOUNT, "ab" * 32)
JOB = BLUEPRINT.training_request(BLUEPRINT.settings.models[0])["TrainingJobName"]
SEARCH = BLUEPRINT.tuning_request()["HyperParameterTuningJobName"]
# Their tags: of another model of the project's, of a project that is named alike, and one without.
ENDPOINTS = {
    "stagemaker-demo-single": [{"Key": "stagemaker:project", "Value": "stagemaker-demo"}],
    "stagemaker-demo-two": [{"Key": "stagemaker:project", "Value": "stagemaker-demo-two"}],
    "by-stagemaker-demo": [],
}
LOGS = (titles.ENDPOINT_LOG, titles.FUNCTION_LOG)
OF_EC2 = (titles.EC2_ROLE, titles.INSTANCE_PROFILE)  # `ec2-train` makes them


def sagemaker(searches: Sequence[str] = (), **statuses: str) -> FakeClient:
    """SageMaker with training jobs of these statuses: `first`, `second`, and tuning jobs of the names `searches`."""
    found = {JOB: statuses.get("first"), f"{JOB}-2": statuses.get("second")}

    def describe(TrainingJobName: str) -> dict[str, Any]:
        if status := found.get(TrainingJobName):
            return {"TrainingJobName": TrainingJobName, "TrainingJobStatus": status}
        raise missing()

    def describe_search(HyperParameterTuningJobName: str) -> dict[str, Any]:
        name = HyperParameterTuningJobName
        if name not in searches:
            raise missing()
        metric = {"MetricName": "validation:accuracy", "Value": 0.75}
        best = {
            "TrainingJobName": f"{name}-001-12345678",
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {"learning-rate": "0.003"},
            "FinalHyperParameterTuningJobObjectiveMetric": metric,
        }
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobStatus": "Completed",
            "CreationTime": searches.index(name),
            "BestTrainingJob": best,
        }

    listed = {"TrainingJobSummaries": [{"TrainingJobName": name} for name, status in found.items() if status]}
    return FakeClient(
        {
            "describe_training_job": describe,
            "list_training_jobs": listed,
            "list_hyper_parameter_tuning_jobs": {
                "HyperParameterTuningJobSummaries": [{"HyperParameterTuningJobName": name} for name in searches]
            },
            "describe_hyper_parameter_tuning_job": describe_search,
            "list_models": {"Models": [{"ModelName": JOB}, {"ModelName": "stagemaker-demo-two-0123456789"}]},
            "list_endpoint_configs": {"EndpointConfigs": [{"EndpointConfigName": "by-hand"}]},
            "list_endpoints": {
                "Endpoints": [{"EndpointName": name, "EndpointArn": name} for name in ENDPOINTS],
            },
            "list_tags": lambda ResourceArn: {"Tags": ENDPOINTS[ResourceArn]},
        }
    )


def deployment(
    folder: Path, client: FakeClient, pretrained: File | None = None, function: FakeClient | None = None
) -> Deployment:
    functions = function or FakeClient({"get_function_url_config": missing("ResourceNotFoundException")})
    clients = fake_clients(sagemaker=client, lambda_=functions)
    return Deployment(clients, BLUEPRINT, load(write_set(folder / "set")), pretrained)


def names(resources: Sequence[Resource]) -> dict[str, str]:
    return {one.title: one.name for one in resources}


def test_the_resources_in_their_order(tmp_path: Path) -> None:
    resources = engine.order(deployment(tmp_path, sagemaker()).resources(quiet()))
    assert [one.title for one in resources if one.is_wanted] == [
        "Bucket", "Data in S3", "Role of training", "Role of hosting", "Training job", "Model",
        "Endpoint configuration", "Endpoint", "Role of the function", "Function", "Alias of the function",
    ]  # fmt: skip


def test_what_takes_no_key_is_said_once(tmp_path: Path) -> None:
    of = (TrainingSettings("ml.g4dn.xlarge"), EndpointSettings("ml.g5.xlarge"))
    settings = replace(BLUEPRINT.settings, models=(ModelSettings("a", *of), ModelSettings("b", *of)))
    made = deployment(tmp_path, sagemaker())
    console = Console(record=True, width=200)
    for key in ("", "arn:aws:kms:us-east-1:123456789012:key/k"):
        replace(made, blueprint=replace(BLUEPRINT, settings=settings, key=key)).resources(Terminal(console))
    assert console.export_text().count("Without the key: disks of ml.g4dn.xlarge, ml.g5.xlarge.") == 1


def log_groups(tmp_path: Path, key: str, found: Sequence[dict[str, str]] = ()) -> list[Resource]:
    """Those of the wanted resources, in their order, where the account has these."""
    made = deployment(tmp_path, sagemaker())
    logs = FakeClient({"describe_log_groups": {"logGroups": list(found)}})
    blueprint = replace(BLUEPRINT, key=key)
    resources = replace(made, blueprint=blueprint, clients=replace(made.clients, logs=logs)).resources(quiet())
    placed = engine.order(one for one in resources if one.is_wanted)
    titled = [one.title for one in placed]
    for log, writes in zip(LOGS, (titles.ENDPOINT, titles.FUNCTION), strict=True):
        assert log not in titled or titled.index(log) < titled.index(writes)
    return [one for one in placed if one.title in LOGS]


def test_log_groups_with_a_key_are_made_before_anything_writes_to_them(tmp_path: Path) -> None:
    made = log_groups(tmp_path, "arn:aws:kms:us-east-1:123456789012:key/k")
    endpoint = "/aws/sagemaker/Endpoints/stagemaker-demo"
    assert [one.name for one in made] == [endpoint, "/aws/lambda/stagemaker-demo-proxy"]


def test_without_a_key_only_a_log_group_that_still_has_one_is_changed(tmp_path: Path) -> None:
    assert log_groups(tmp_path, "") == []
    name = "/aws/lambda/stagemaker-demo-proxy"
    assert log_groups(tmp_path, "", [{"logGroupName": name}]) == []
    (one,) = log_groups(tmp_path, "", [{"logGroupName": name, "kmsKeyId": "k"}])
    assert (one.name, engine.apply_one(one)[0]) == (name, "update")


def test_an_address_that_is_not_wanted_any_more_is_deleted(tmp_path: Path) -> None:
    functions = FakeClient(
        {"get_function_url_config": {"FunctionUrl": "http://x/"}, "get_policy": missing("ResourceNotFoundException")}
    )
    resources = deployment(tmp_path, sagemaker(), function=functions).resources(quiet())
    (url,) = (one for one in resources if one.title == titles.FUNCTION_URL)
    assert engine.apply_one(url) == ("delete", "")
    assert "delete_function_url_config" in functions.names()


PHOTOS = DataSettings("photos", "210987654321", "sets")


def in_another_bucket(shown: bytes) -> StoredDataset:
    return StoredDataset(PHOTOS.uri, ("cat", "dog"), {"train": 4, "valid": 4}, 0, "cd" * 32, shown)


def test_photos_of_another_account_are_not_sent_and_their_bucket_is_none_of_the_resources(tmp_path: Path) -> None:
    made = deployment(tmp_path, sagemaker())
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=PHOTOS))
    made = replace(made, blueprint=blueprint, dataset=in_another_bucket(b""))
    resources = engine.order(made.resources(quiet()))
    assert titles.DATA not in [one.title for one in resources]
    assert [one.name for one in resources if one.title == titles.BUCKET] == [blueprint.bucket]
    needed = [one.title for one in engine.needed_for([titles.TRAINING_JOB], resources)]
    assert needed == [titles.BUCKET, titles.TRAINING_ROLE, titles.TRAINING_JOB]
    found = existing(made.clients, blueprint, quiet())
    assert not [one for one in (*resources, *found) if "photos" in one.name]


def test_a_folder_that_is_given_wins_over_the_bucket_of_another_account(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text("[data]\nbucket = 'photos'\naccount = '210987654321'\n")
    options = Namespace(
        preset=str(preset), hyperparameters=[], pretrained=None, images="built", data=write_set(tmp_path / "set")
    )
    s3 = FakeClient()
    found = data_of(options, settings_of(options), fake_clients(s3=s3), quiet())
    assert (isinstance(found, Dataset), s3.calls) == (True, [])
    assert deployment_of(options, fake_clients(), found).blueprint.settings.data is None
    assert deployment_of(options, fake_clients(), in_another_bucket(b"")).blueprint.settings.data is not None


def test_the_first_photo_says_which_hyperparameters_suit(tmp_path: Path) -> None:
    """One that cannot be decoded is taken for a photo: the trainer has the last word."""
    options = Namespace(hyperparameters=[], pretrained=None, images="built")
    sizes = {"drawing": 8, "photo": 200}
    shown = {name: write_photo(tmp_path / f"{name}.png", side).read_bytes() for name, side in sizes.items()}
    shown["broken"] = b"no photo"
    found = {
        name: deployment_of(options, fake_clients(), in_another_bucket(content)).blueprint.settings.hyperparameters
        for name, content in shown.items()
    }
    assert found == {"drawing": DRAWINGS, "photo": PHOTO, "broken": PHOTO}


def test_the_options_of_the_function(tmp_path: Path) -> None:
    options = Namespace(
        project="stagemaker-demo", region="us-east-1", system="E", hyperparameters=[], pretrained=None, images="built",
        reserved=3, provisioned=2, url=False, origins=["http://localhost:3000"],
    )  # fmt: skip
    dataset = load(write_set(tmp_path / "set"))
    made = deployment_of(options, fake_clients(), dataset).blueprint.settings.function
    assert (made.reserved, made.provisioned, made.url, made.origins) == (3, 2, True, ("http://localhost:3000",))
    options.provisioned = 4
    with pytest.raises(StepFailed, match="not more than what is reserved"):
        deployment_of(options, fake_clients(), dataset)


def test_a_training_needs_no_endpoint_and_no_function(tmp_path: Path) -> None:
    resources = deployment(tmp_path, sagemaker()).resources(quiet())
    needed = engine.needed_for([titles.TRAINING_JOB], resources)
    assert [one.title for one in needed] == [titles.BUCKET, titles.DATA, titles.TRAINING_ROLE, titles.TRAINING_JOB]


def test_a_search_needs_what_a_training_needs(tmp_path: Path) -> None:
    resources = deployment(tmp_path, sagemaker()).tuning(quiet(), lambda *_: None)
    found = [one.title for one in engine.order(resources)]
    assert found == [titles.BUCKET, titles.DATA, titles.TRAINING_ROLE, titles.FEATURES_JOB, titles.TUNING_JOB]


def test_the_best_hyperparameters_win_over_the_data_s_and_lose_to_the_user_s(tmp_path: Path) -> None:
    names = [f"stagemaker-demo-{number:010}" for number in (1, 2)]
    clients = fake_clients(sagemaker=sagemaker([*names, "stagemaker-demo-two-0123456789"]))
    best = best_hyperparameters(clients, BLUEPRINT, quiet())
    assert best == {"learning-rate": "0.003"}
    options = Namespace(
        project="stagemaker-demo", region="us-east-1", system="E", hyperparameters=["epochs=1"], pretrained=None,
        images="built",
    )  # fmt: skip
    made = deployment_of(options, clients, load(write_set(tmp_path / "set")), best={**best, "epochs": "9"})
    assert made.blueprint.settings.hyperparameters["learning-rate"] == "0.003"
    assert made.blueprint.settings.hyperparameters["epochs"] == "1"


def test_no_best_before_a_search() -> None:
    with pytest.raises(StepFailed) as caught:
        best_hyperparameters(fake_clients(sagemaker=sagemaker()), BLUEPRINT, quiet())
    assert caught.value.next_step == "Search first: make tune"


@pytest.mark.parametrize(
    "changes", [{"jobs": 2, "parallel": 3}, {"jobs": 0, "parallel": 0}, {"jobs": 751}, {"jobs": 50, "parallel": 11}]
)
def test_a_search_that_aws_would_not_take(tmp_path: Path, changes: dict[str, int]) -> None:
    options = Namespace(
        project="p1", region="us-east-1", system="E", hyperparameters=[], pretrained=None, images="built", **changes
    )
    with pytest.raises(StepFailed, match="AWS takes 1 to 750 jobs"):
        deployment_of(options, fake_clients(sagemaker=sagemaker()), load(write_set(tmp_path / "set")))


def test_starting_weights_are_sent_before_the_training(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    made = deployment(tmp_path, sagemaker(), File(weights, "00" * 32))
    found = [one.title for one in engine.needed_for([titles.TRAINING_JOB], made.resources(quiet()))]
    assert found.index(titles.WEIGHTS) < found.index(titles.TRAINING_JOB)


@pytest.mark.parametrize(
    ("statuses", "name"),
    [
        ({}, JOB),
        ({"first": "Completed"}, JOB),
        ({"first": "InProgress"}, JOB),
        ({"first": "Failed"}, f"{JOB}-2"),
        ({"first": "Stopped", "second": "Completed"}, f"{JOB}-2"),
        ({"first": "Failed", "second": "Failed"}, f"{JOB}-3"),
    ],
)
def test_the_model_is_of_a_job_that_need_not_have_run(tmp_path: Path, statuses: dict[str, str], name: str) -> None:
    found = names(deployment(tmp_path, sagemaker(**statuses)).resources(quiet()))
    assert found[titles.TRAINING_JOB] == name
    assert found[titles.MODEL] == BLUEPRINT.model_request(name)["ModelName"]


def test_after_twenty_failures_no_other_job_is_tried(tmp_path: Path) -> None:
    client = FakeClient({"describe_training_job": {"TrainingJobStatus": "Failed"}})
    with pytest.raises(StepFailed, match="20 training jobs with these settings and data have failed"):
        deployment(tmp_path, client).resources(quiet())


def test_destroy_takes_the_resources_in_the_reverse_of_deploys_order(tmp_path: Path) -> None:
    weights = File(tmp_path / "weights.pt", "00" * 32)
    made = deployment(tmp_path, sagemaker(first="Completed"), weights, FakeClient())
    deployed = [one.title for one in engine.order(made.resources(quiet()))]
    ended = engine.order(existing(made.clients, BLUEPRINT, quiet()))
    to_delete = [one.title for one in ended if one.title not in (*LOGS, *OF_EC2) and "(single)" not in one.title]
    left_out = (titles.ENDPOINT_CONFIGURATION, *LOGS)  # none of ours exists
    assert to_delete == [title for title in deployed if title not in left_out and "(single)" not in title]


def test_what_earlier_settings_made_is_found_and_nothing_of_a_project_named_alike() -> None:
    client = sagemaker([SEARCH, "by-hand"], first="Failed", second="Completed")
    found = existing(fake_clients(sagemaker=client), BLUEPRINT, quiet())
    assert [one.name for one in found if one.title == titles.TUNING_JOB] == [SEARCH]
    assert [one.name for one in found if one.title == titles.TRAINING_JOB] == [JOB, f"{JOB}-2"]
    assert [one.name for one in found if one.title == titles.MODEL] == [JOB]
    assert [one.name for one in found if one.title == titles.ENDPOINT_CONFIGURATION] == []


def test_every_dependency_is_a_title(tmp_path: Path) -> None:
    known = {value for name, value in vars(titles).items() if name.isupper()}
    found = existing(fake_clients(sagemaker=sagemaker(first="Completed")), BLUEPRINT, quiet())
    for resource in (*found, *deployment(tmp_path, sagemaker()).resources(quiet())):
        assert {title.removesuffix(" (single)") for title in (resource.title, *resource.depends_on)} <= known


def test_an_endpoint_that_other_settings_made_is_deleted(tmp_path: Path) -> None:
    resources = deployment(tmp_path, sagemaker()).resources(quiet())
    assert [one.name for one in resources if not one.is_wanted and one.title.startswith("Endpoint (")] == [
        "stagemaker-demo-single"
    ]


def test_endpoints_are_found_by_their_tag() -> None:
    found = existing(fake_clients(sagemaker=sagemaker()), BLUEPRINT, quiet())
    endpoints = [one.name for one in found if one.title.startswith(titles.ENDPOINT) and one.name in ENDPOINTS]
    assert endpoints == ["stagemaker-demo-single"]


def test_two_models_of_a_preset(tmp_path: Path) -> None:
    options = Namespace(
        preset="a", project="dogs", hyperparameters=["epochs=1"], pretrained=None, images="built", reserved=3
    )
    clients = replace(fake_clients(sagemaker=sagemaker()), target="aws")
    made = deployment_of(options, clients, load(write_set(tmp_path / "set")))
    settings = made.blueprint.settings
    assert (settings.project, settings.hyperparameters["epochs"], settings.function.system) == ("dogs", "1", "A")
    assert (settings.function.reserved, settings.function.provisioned) == (3, 2)
    resources = [one.title for one in engine.order(made.resources(quiet()))]
    assert [title for title in resources if title.endswith(("(single)", "(multi)"))] == [
        "Training job (single)", "Model (single)", "Endpoint configuration (single)", "Endpoint (single)",
        "Scaling of the endpoint (single)", "Training job (multi)", "Model (multi)", "Endpoint configuration (multi)",
        "Endpoint (multi)", "Scaling of the endpoint (multi)",
    ]  # fmt: skip
    multi = [titles.of_model(titles.TRAINING_JOB, "multi")]
    trained = [one.title for one in engine.needed_for(multi, made.resources(quiet()))]
    assert "Training job (single)" not in trained


def with_notebook(folder: Path, client: FakeClient, target: Target = "local", endpoint: str = "") -> Deployment:
    made = deployment(folder, client)
    settings = replace(BLUEPRINT.settings, notebook=NotebookSettings())
    clients = replace(made.clients, target=target, endpoint=endpoint)
    return replace(made, blueprint=replace(BLUEPRINT, settings=settings), clients=clients)


NOTEBOOK = [titles.NOTEBOOK_FILES, titles.NOTEBOOK_ROLE, titles.NOTEBOOK_LIFECYCLE, titles.NOTEBOOK_INSTANCE]


def test_a_notebook_instance_comes_after_all_that_it_needs(tmp_path: Path) -> None:
    client = sagemaker()
    with saying('{"WhyNone": ""}') as (url, _):
        resources = with_notebook(tmp_path, client, endpoint=url).resources(quiet())
    found = [one.title for one in engine.order(resources) if one.is_wanted]
    assert [title for title in found if title in NOTEBOOK] == NOTEBOOK
    needed = engine.needed_for([titles.NOTEBOOK_INSTANCE], resources)
    assert [one.title for one in engine.order(needed)] == [titles.BUCKET, *NOTEBOOK]


def test_a_stage_of_processes_has_no_notebook_instance_and_deploys_all_else(tmp_path: Path) -> None:
    client, terminal = sagemaker(), quiet()
    with saying('{"WhyNone": "it runs as processes."}') as (url, _):
        resources = with_notebook(tmp_path, client, endpoint=url).resources(terminal)
    assert not [one for one in resources if one.title in NOTEBOOK]
    assert titles.ENDPOINT in [one.title for one in resources]
    assert text_of(terminal).count("Left out: the notebook instance (it runs as processes).") == 1


def test_on_aws_nobody_is_asked_whether_there_are_notebook_instances(tmp_path: Path) -> None:
    client = sagemaker()
    resources = with_notebook(tmp_path, client, "aws").resources(quiet())
    assert [one.title for one in resources if one.title in NOTEBOOK] == NOTEBOOK
    assert "create_notebook_instance" not in client.names()


def test_a_notebook_instance_that_is_not_wanted_any_more_is_deleted(tmp_path: Path) -> None:
    client, tags = sagemaker(), {"Tags": BLUEPRINT.tags}
    described = {"NotebookInstanceStatus": "Stopped", "NotebookInstanceArn": "arn"}
    client.answers |= {"describe_notebook_instance": [described] * 4 + [missing()], "list_tags": lambda **_: tags}
    made = deployment(tmp_path, client)
    logs = FakeClient({"describe_log_streams": {"logStreams": []}, "describe_log_groups": {"logGroups": []}})
    resources = replace(made, clients=replace(made.clients, logs=logs)).resources(quiet())
    (instance,) = (one for one in resources if one.title == titles.NOTEBOOK_INSTANCE)
    assert engine.apply_one(instance) == ("delete", "")
    assert "delete_notebook_instance" in client.names()


def test_a_notebook_instance_of_somebody_else_stays(tmp_path: Path) -> None:
    client, terminal = sagemaker(), quiet()
    described = {"NotebookInstanceStatus": "InService", "NotebookInstanceArn": "by-stagemaker-demo"}
    client.answers["describe_notebook_instance"] = described
    resources = deployment(tmp_path, client).resources(terminal)
    assert titles.NOTEBOOK_INSTANCE not in [one.title for one in resources]
    assert "Left alone: The notebook instance stagemaker-demo-notebook" in " ".join(text_of(terminal).split())


def test_an_address_is_open_to_anybody_on_this_machine_only(tmp_path: Path) -> None:
    options = Namespace(hyperparameters=[], pretrained=None, images="pushed", image_tag="0123abc", url=True)
    here, data = fake_clients(sagemaker=sagemaker()), load(write_set(tmp_path / "set"))
    auths = [deployment_of(options, replace(here, target=target), data) for target in ("local", "aws")]
    assert [one.blueprint.function_url_request()["AuthType"] for one in auths] == ["NONE", "AWS_IAM"]
    assert [len(one.blueprint.function_url_permissions()) for one in auths] == [2, 0]


def test_settings_that_aws_would_not_take() -> None:
    with pytest.raises(StepFailed, match="The project name"):
        settings_of(Namespace(project="A"))


def test_the_hyperparameter_says_how_many_photos_may_be_left_out(tmp_path: Path) -> None:
    (write_set(tmp_path) / "train" / "cat" / "broken.jpg").write_bytes(b"text")

    def loaded(*hyperparameters: str) -> str:
        terminal = quiet()
        load_data(Namespace(data=tmp_path, hyperparameters=list(hyperparameters)), terminal)
        return text_of(terminal)

    assert "Left out train/cat/broken.jpg: The data is not" in loaded("max-unusable-share=0.1")
    with pytest.raises(StepFailed, match=r"broken\.jpg does not hold a JPEG, PNG or WebP image"):
        loaded()
    with pytest.raises(StepFailed, match="The hyperparameter max-unusable-share is 'many'"):
        loaded("max-unusable-share=many")
