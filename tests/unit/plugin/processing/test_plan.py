"""What a request of CreateProcessingJob means, as values."""

import json
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import PROCESSING_JOB
from stagemaker.core.refs import Ref
from stagemaker.jobs.sources import Source
from stagemaker.processing.plan import Input, Output, ProcessingPlan, processing_plan
from stagemaker.processing.unsupported import refuse_unsupported
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.processing.processing_requests import INPUT, OUTPUT, cluster, output, request, source


def planned(**changes: Any) -> ProcessingPlan:
    return processing_plan(Ref(SCOPE, PROCESSING_JOB, "job"), request(**changes))


def refusal(**changes: Any) -> str:
    with pytest.raises(ApiError) as caught:
        planned(**changes)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_the_images_own_program_gets_the_arguments() -> None:
    plan = planned(AppSpecification={"ImageUri": "program", "ContainerArguments": ["--rows", "5"]})
    assert (plan.entrypoint, plan.command) == (None, ("--rows", "5"))


def test_an_entry_point_of_the_request_replaces_the_images() -> None:
    program = ["python3", f"{INPUT}/code/clean.py"]
    plan = planned(AppSpecification={"ImageUri": "program", "ContainerEntrypoint": program})
    assert (plan.entrypoint, plan.command) == (tuple(program), ())


def test_inputs_and_outputs() -> None:
    plan = planned(
        ProcessingInputs=[source(), source("code", "s3://bucket/code/a.py", f"{INPUT}/code/")],
        ProcessingOutputConfig={"Outputs": [output(), output("live", "s3://bucket/live/", f"{OUTPUT}/live",
                                                             S3UploadMode="Continuous")]},
    )  # fmt: skip
    assert plan.inputs == (
        Input("train", Source("s3://bucket/train"), INPUT),
        Input("code", Source("s3://bucket/code/a.py"), f"{INPUT}/code"),
    )
    assert plan.outputs == (
        Output("out", "s3://bucket/out", OUTPUT, continuous=False),
        Output("live", "s3://bucket/live", f"{OUTPUT}/live", continuous=True),
    )


def test_a_job_with_a_vpc_runs_in_its_first_subnet() -> None:
    vpc = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    networks = [{}, {"EnableNetworkIsolation": False}, {"VpcConfig": vpc}]
    assert [planned(NetworkConfig=network).subnet for network in networks] == ["", "", "subnet-1"]
    assert planned().subnet == ""


def test_a_folder_in_another_is_seen_through_it() -> None:
    plan = planned(ProcessingInputs=[source("code", path=f"{INPUT}/code"), source(path=INPUT)])
    targets = {mount.target: mount.folder for mount in plan.mounts(Path("base"))}
    assert targets == {
        "/opt/ml/config": Path("base/config"),
        "/opt/ml/output": Path("base/output"),
        INPUT: Path("base/processing/input"),
        OUTPUT: Path("base/processing/output"),
    }


def test_what_the_application_moves_itself_is_not_ours_to_move() -> None:
    managed = {**source(), "AppManaged": True}
    plan = planned(ProcessingInputs=[managed], ProcessingOutputConfig={"Outputs": [{**output(), "AppManaged": True}]})
    assert (plan.inputs, plan.outputs) == ((), ())


def test_the_files_of_each_host() -> None:
    plan = planned(**cluster(InstanceCount=11))
    assert plan.hosts == tuple(f"algo-{number}" for number in range(1, 12))
    resources = json.loads(plan.files["algo-2"]["config/resourceconfig.json"])
    assert resources["current_host"] == "algo-2"
    assert resources["hosts"][:4] == ["algo-1", "algo-10", "algo-11", "algo-2"]


def test_the_jobs_own_description_has_null_for_what_is_not_set() -> None:
    config = json.loads(planned().files["algo-1"]["config/processingjobconfig.json"])
    assert config["ProcessingJobArn"] == f"arn:aws:sagemaker:eu-west-1:{SCOPE.account}:processing-job/job"
    assert config["AppSpecification"]["ContainerEntrypoint"] is None
    assert config["Environment"] is None
    assert config["ProcessingInputs"][0]["S3Input"]["S3DownloadMode"] == "StartOfJob"
    assert config["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] is None
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}


@pytest.mark.parametrize(
    "path", ["", "/opt/ml/processing", "/opt/ml/model", "opt/ml/processing/a", "/opt/ml/processing/../model"]
)
def test_a_path_that_is_not_below_processing(path: str) -> None:
    assert "must be a folder below /opt/ml/processing" in refusal(ProcessingInputs=[source(path=path)])
    assert "processing output 'out'" in refusal(ProcessingOutputConfig={"Outputs": [output(path=path)]})


@pytest.mark.parametrize(
    "changes",
    [
        {"ProcessingInputs": [source(), source(path=f"{INPUT}/b")]},
        {"ProcessingInputs": [source(), source("other")]},
        {"ProcessingOutputConfig": {"Outputs": [output(), output(path=f"{OUTPUT}/b")]}},
    ],
)
def test_names_and_input_paths_are_unique(changes: dict[str, Any]) -> None:
    assert "more than once" in refusal(**changes)


def test_an_input_without_a_source() -> None:
    assert refusal(ProcessingInputs=[{"InputName": "a"}]) == "The processing input 'a' has no S3Input."
    message = refusal(ProcessingOutputConfig={"Outputs": [{"OutputName": "b"}]})
    assert message == "The processing output 'b' has no S3Output."


def test_only_what_is_streamed_may_be_compressed() -> None:
    message = refusal(ProcessingInputs=[source("a", S3CompressionType="Gzip")])
    assert message == "The processing input 'a': S3CompressionType Gzip needs the S3InputMode Pipe."
    assert planned(ProcessingInputs=[source("a", S3CompressionType="None")]).inputs[0].name == "a"


def test_more_hosts_than_one_machine_runs() -> None:
    with pytest.raises(ApiError, match="at most 20 instances") as caught:
        planned(**cluster(InstanceCount=21))
    assert caught.value.code == "ResourceLimitExceeded"


@pytest.mark.parametrize("member", ["InstanceType", "InstanceCount"])
def test_the_instances_must_be_said(member: str) -> None:
    given = cluster()["ProcessingResources"]["ClusterConfig"]
    less = {name: value for name, value in given.items() if name != member}
    assert refusal(ProcessingResources={"ClusterConfig": less}) == f"ClusterConfig needs an {member}."
    chosen = cluster(SelectedInstanceCount=1)
    assert refusal(**chosen) == "ClusterConfig does not take SelectedInstanceCount: it is read-only."


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (cluster(InstancePreferences=[{"InstanceType": "ml.m5.large"}]), "ClusterConfig.InstancePreferences"),
        ({"ProcessingInputs": [source(S3InputMode="Pipe")]}, "ProcessingInputs[train].S3Input.S3InputMode=Pipe"),
        ({"ProcessingInputs": [{"InputName": "a", "DatasetDefinition": {}}]}, "ProcessingInputs[a].DatasetDefinition"),
        ({"ExperimentConfig": {"ExperimentName": "e"}}, "ExperimentConfig"),
        (
            {"ProcessingOutputConfig": {"Outputs": [{**output("f"), "FeatureStoreOutput": {"FeatureGroupName": "g"}}]}},
            "ProcessingOutputConfig.Outputs[f].FeatureStoreOutput",
        ),
    ],
)  # fmt: skip
def test_what_is_not_implemented_is_refused_by_its_name(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ApiError) as caught:
        refuse_unsupported(request(**changes))
    assert caught.value.status == 501
    assert name in caught.value.message
