"""From a request to a plan, and what is refused on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.refs import Ref
from stagemaker.jobs.sources import Source
from stagemaker.runtime.contract import Mount, mounts_below_base
from stagemaker.training.channels import Channel
from stagemaker.training.instance_groups import ONLY_GROUP
from stagemaker.training.plan import SavedFolder, TrainingPlan, training_plan
from stagemaker.training.unsupported import refuse_unsupported
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.training.training_requests import algorithm, channel, groups, request, resources

AUGMENTED = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["source-ref", "label"]}
MANIFEST = {"S3DataType": "ManifestFile"}
REF = Ref(SCOPE, TRAINING_JOB, "job")


def plan_of(given: dict[str, Any]) -> TrainingPlan:
    return training_plan(REF, given)


def files(given: dict[str, Any], host: str = "algo-1") -> dict[str, Any]:
    of_host = plan_of(given).files[host]
    found = {path.rpartition("/")[2]: json.loads(text) for path, text in of_host.items()}
    return {name.removesuffix(".json"): content for name, content in found.items()}


def test_a_plan_says_where_everything_goes() -> None:
    plan = plan_of(request())
    assert plan.role_arn == ROLE
    assert plan.channels == (Channel("train", Source("s3://bucket/train")),)
    assert plan.model_uri == "s3://bucket/out/job/output/model.tar.gz"
    assert plan.output_uri == "s3://bucket/out/job/output/output.tar.gz"
    assert (plan.max_runtime_s, plan.checkpoints, plan.metrics) == (86_400, None, ())


def test_a_job_with_a_vpc_runs_in_its_first_subnet() -> None:
    vpc = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert [plan_of(request()).subnet, plan_of(request(VpcConfig=vpc)).subnet] == ["", "subnet-1"]


def test_the_environment_has_the_job_and_what_the_request_says() -> None:
    plan = plan_of(request(Environment={"A": "1", "TRAINING_JOB_NAME": "not mine"}))
    assert plan.environment == {"A": "1", "TRAINING_JOB_NAME": "job", "TRAINING_JOB_ARN": REF.arn}
    assert plan.notes == ("not taken from Environment, since the service sets it: TRAINING_JOB_NAME",)


def test_the_configuration_files_are_sagemaker_s() -> None:
    found = files(request(HyperParameters={"epochs": "3"}, InputDataConfig=[channel(ContentType="image/jpeg")]))
    assert found["hyperparameters"] == {"epochs": "3"}
    assert found["inputdataconfig"] == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            "ContentType": "image/jpeg",
        }
    }
    assert found["resourceconfig"] == {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
        ],
        "network_interface_name": "eth0",
    }


def test_every_host_has_its_own_name_and_the_names_of_all() -> None:
    given = request(**resources(InstanceCount=11, InstanceType="ml.g5.xlarge"))
    refuse_unsupported(given)
    names = [f"algo-{number}" for number in range(1, 12)]
    assert list(plan_of(given).hosts) == names
    as_text = ["algo-1", "algo-10", "algo-11", *names[1:9]]
    for host in names:
        assert files(given, host)["resourceconfig"] == {
            "current_host": host,
            "current_instance_type": "ml.g5.xlarge",
            "current_group_name": ONLY_GROUP,
            "hosts": as_text,
            "instance_groups": [
                {"instance_group_name": ONLY_GROUP, "instance_type": "ml.g5.xlarge", "hosts": as_text},
            ],
            "network_interface_name": "eth0",
        }
        assert files(given, host)["inputdataconfig"] == files(given)["inputdataconfig"]


def test_more_hosts_than_a_machine_runs() -> None:
    with pytest.raises(ApiError, match="at most 20 instances on one machine; 21 are asked for") as caught:
        plan_of(request(**resources(InstanceCount=21)))
    assert caught.value.code == "ResourceLimitExceeded"


def test_a_channel_may_be_sharded() -> None:
    given = request(InputDataConfig=[channel(source={"S3DataDistributionType": "ShardedByS3Key"}), channel("valid")])
    refuse_unsupported(given)
    assert plan_of(given).channels == (
        Channel("train", Source("s3://bucket/train", sharded=True)),
        Channel("valid", Source("s3://bucket/train", sharded=False)),
    )
    modes = {name: of["S3DistributionType"] for name, of in files(given)["inputdataconfig"].items()}
    assert modes == {"train": "ShardedByS3Key", "valid": "FullyReplicated"}


@pytest.mark.parametrize(
    ("changes", "entrypoint", "command"),
    [
        ({}, None, ("train",)),
        ({"ContainerEntrypoint": ["python3", "/x.py"]}, ("python3", "/x.py"), ()),
        ({"ContainerArguments": ["train", "--fast"]}, None, ("train", "--fast")),
        ({"ContainerEntrypoint": ["sh"], "ContainerArguments": ["-c", "true"]}, ("sh",), ("-c", "true")),
    ],
)
def test_what_a_container_runs(
    changes: dict[str, Any], entrypoint: tuple[str, ...] | None, command: tuple[str, ...]
) -> None:
    given = request(**algorithm(**changes))
    refuse_unsupported(given)
    plan = plan_of(given)
    assert (plan.entrypoint, plan.command) == (entrypoint, command)


def test_a_job_without_channels_and_hyperparameters_gets_empty_files() -> None:
    given = request()
    del given["InputDataConfig"]
    assert files(given)["inputdataconfig"] == files(given)["hyperparameters"] == {}


def test_metrics_are_compiled() -> None:
    definitions = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    (metric,) = plan_of(request(**algorithm(MetricDefinitions=definitions))).metrics
    found = metric.regex.search("epoch=1 loss=0.5")
    assert metric.name == "loss"
    assert found is not None
    assert found.group(1) == "0.5"


@pytest.mark.parametrize(
    ("path", "folder", "mounted"),
    [
        (None, "/opt/ml/checkpoints", "/job/algo-1/checkpoints"),
        ("/opt/ml/checkpoints/x/", "/opt/ml/checkpoints/x", "/job/algo-1/checkpoints/x"),
        ("/state", "/state", "/job/algo-1-root/state"),
        ("//tmp/x", "/tmp/x", "/job/algo-1-root/tmp/x"),
        ("/opt/ml/output/data/x", "/opt/ml/output/data/x", None),
        ("/opt/ml/model", "/opt/ml/model", None),
    ],
)
def test_checkpoints(path: str | None, folder: str, mounted: str | None) -> None:
    config = {"S3Uri": "s3://bucket/ck/", **({"LocalPath": path} if path else {})}
    refuse_unsupported(request(CheckpointConfig=config))
    plan = plan_of(request(CheckpointConfig=config))
    assert plan.checkpoints == SavedFolder("s3://bucket/ck", folder)
    own = ("input", "model", "output")
    more = (Mount(folder, Path(mounted)),) if mounted else ()
    assert plan.mounts(Path("/job/algo-1")) == (*mounts_below_base(Path("/job/algo-1"), own), *more)
    assert files(request(CheckpointConfig=config))["checkpointconfig"] == {"LocalPath": path or folder}


@pytest.mark.parametrize(
    ("path", "folder", "mounted"),
    [
        (None, "/opt/ml/output/tensorboard", None),
        ("/opt/ml/output/tensorboard/", "/opt/ml/output/tensorboard", None),
        ("/tensorboard", "/tensorboard", "/job/algo-1-root/tensorboard"),
    ],
)
def test_tensorboard_files(path: str | None, folder: str, mounted: str | None) -> None:
    config = {"S3OutputPath": "s3://bucket/board/", **({"LocalPath": path} if path else {})}
    refuse_unsupported(request(TensorBoardOutputConfig=config))
    plan = plan_of(request(TensorBoardOutputConfig=config))
    assert plan.tensorboard == SavedFolder("s3://bucket/board/job/tensorboard-output", folder)
    more = (Mount(folder, Path(mounted)),) if mounted else ()
    assert plan.mounts(Path("/job/algo-1"))[3:] == more


@pytest.mark.parametrize(
    ("checkpoints", "tensorboard", "mounted"),
    [
        ("/state", "/state", ["/state"]),
        ("/state", "/state/board", ["/state"]),
        ("/state/of/mine", "/state", ["/state"]),
        ("/state", "/state-board", ["/state", "/state-board"]),
        ("/opt/ml/checkpoints", "/opt/ml/checkpoints/tb", ["/opt/ml/checkpoints"]),
    ],
)
def test_a_folder_in_another_one_is_mounted_with_it(checkpoints: str, tensorboard: str, mounted: list[str]) -> None:
    given = request(
        CheckpointConfig={"S3Uri": "s3://bucket/ck", "LocalPath": checkpoints},
        TensorBoardOutputConfig={"S3OutputPath": "s3://bucket/board", "LocalPath": tensorboard},
    )
    base = Path("/job/algo-1")
    plan = plan_of(given)
    more = plan.mounts(base)[3:]
    assert [mount.target for mount in more] == mounted
    for saved in plan.saved:
        (mount,) = (each for each in more if f"{saved.path}/".startswith(f"{each.target}/"))
        assert saved.folder(base) == mount.folder / saved.path[len(mount.target) :].strip("/")


def test_the_files_of_configurations_are_there_when_they_are_given() -> None:
    assert files(request()).keys() == {"hyperparameters", "inputdataconfig", "resourceconfig"}
    given = request(
        DebugHookConfig={"S3OutputPath": "s3://bucket/debug", "CollectionConfigurations": []},
        TensorBoardOutputConfig={"S3OutputPath": "s3://bucket/board", "LocalPath": "/opt/ml/output/x"},
    )
    found = files(given)
    assert found["debughookconfig"] == {
        "S3OutputPath": "s3://bucket/debug",
        "LocalPath": "/opt/ml/output/tensors",
        "HookParameters": None,
        "CollectionConfigurations": [],
    }
    assert found["tensorboardoutputconfig"] == {"S3OutputPath": "s3://bucket/board", "LocalPath": "/opt/ml/output/x"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (algorithm(MetricDefinitions=[{"Name": "m", "Regex": "("}]), "'m' is not a regular expression"),
        (algorithm(MetricDefinitions=[{"Name": "m", "Regex": "loss"}]), "'m' needs a group"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage is required"),
        ({"InputDataConfig": [channel(), channel()]}, "names a channel twice: train, train"),
        ({"InputDataConfig": [channel("..")]}, "cannot be called '.' or '..'"),
        ({"InputDataConfig": [channel(uri="https://bucket/x")]}, "must be an S3 URI"),
        ({"InputDataConfig": [{"ChannelName": "c", "DataSource": {}}]}, "'c' has no DataSource.S3DataSource"),
        ({"OutputDataConfig": {"S3OutputPath": "https://bucket/x"}}, "must be an S3 URI"),
        ({"CheckpointConfig": {"S3Uri": "s3://b", "LocalPath": "/opt/ml/../x"}}, "LocalPath must be a folder"),
        ({"CheckpointConfig": {"S3Uri": "s3://b", "LocalPath": "/opt/ml/"}}, "LocalPath must be a folder"),
        ({"CheckpointConfig": {"S3Uri": "s3://b", "LocalPath": "state"}}, "LocalPath must be a folder"),
        ({"TensorBoardOutputConfig": {"S3OutputPath": "s3://b", "LocalPath": "x"}}, "OutputConfig.LocalPath must be a"),
        ({"TensorBoardOutputConfig": {"S3OutputPath": "https://b/x"}}, "must be an S3 URI"),
        (
            {"InputDataConfig": [channel(CompressionType="Gzip")]},
            "CompressionType Gzip needs the input",
        ),
        (
            {"InputDataConfig": [channel(RecordWrapperType="RecordIO")]},
            "RecordWrapperType RecordIO needs",
        ),
        (
            {"InputDataConfig": [channel(source=AUGMENTED)]},
            "AugmentedManifestFile needs the input mode Pipe",
        ),
        (
            {"InputDataConfig": [channel(InputMode="FastFile", source=MANIFEST)]},
            "FastFile takes S3DataType S3Prefix",
        ),
        ({"InputDataConfig": [channel(source={"AttributeNames": ["a"]})]}, "AttributeNames belong to S3DataType"),
        (
            {"InputDataConfig": [channel(InputMode="Pipe", source={**AUGMENTED, "AttributeNames": []})]},
            "AttributeNames belong to S3DataType AugmentedManifestFile",
        ),
        (
            {"InputDataConfig": [channel(InputMode="Pipe"), channel("train_12")]},
            "cannot be called 'train_12': it is the name of a FIFO of 'train'",
        ),
        (
            {"InputDataConfig": [channel(source={"InstanceGroupNames": ["x"]})]},
            "instance group that there is not: x",
        ),
        (groups(("a", 1), ("a", 1)), "InstanceGroups has a name twice: a, a"),
        (groups(("a", 1), ("b", 0)), "'b' needs an InstanceCount of at least 1"),
        ({"ResourceConfig": {**groups(("a", 1))["ResourceConfig"], "InstanceCount": 1}}, "either InstanceGroups or"),
        (resources(InstanceCount=0), "InstanceCount of at least 1"),
        (resources(SelectedInstanceType="ml.m5.large"), "does not take SelectedInstanceType: it is read-only"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}}, "must be at most 2419200 (28 days), not 2419201"),
        ({"ResourceConfig": {}}, "InstanceType"),
    ],
)
def test_what_aws_would_not_take(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan_of(request(**changes))
    assert caught.value.code == "ValidationException"
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ExperimentConfig": {"ExperimentName": "dogs"}}, "ExperimentConfig"),
        ({"InputDataConfig": [channel(source={"S3DataType": "Converse"})]}, "InputDataConfig[train].DataSource.S3Data"),
    ],
)
def test_what_we_do_not_do_yet_is_refused_by_name(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ApiError) as caught:
        refuse_unsupported(request(**changes))
    assert caught.value.status == 501
    assert name in caught.value.message


def test_a_model_may_lie_in_s3_file_by_file() -> None:
    plan = plan_of(request(OutputDataConfig={"S3OutputPath": "s3://bucket/out/", "CompressionType": "NONE"}))
    assert plan.model_uri == "s3://bucket/out/job/output/model/"
    assert plan.output_uri == "s3://bucket/out/job/output/output.tar.gz"
    packed = plan_of(request(OutputDataConfig={"S3OutputPath": "s3://bucket/out", "CompressionType": "GZIP"}))
    assert packed.model_uri == "s3://bucket/out/job/output/model.tar.gz"


def test_channels_of_pipe_mode() -> None:
    given = request(
        InputDataConfig=[
            channel(
                InputMode="Pipe",
                CompressionType="Gzip",
                RecordWrapperType="RecordIO",
                ShuffleConfig={"Seed": 0},
                source={**AUGMENTED, "S3DataDistributionType": "ShardedByS3Key"},
            ),
            channel("valid", InputMode="FastFile"),
        ]
    )
    refuse_unsupported(given)
    source = Source(
        "s3://bucket/train",
        sharded=True,
        data_type="AugmentedManifestFile",
        attributes=("source-ref", "label"),
        seed=0,
        gzip=True,
        record_io=True,
    )
    assert plan_of(given).channels == (
        Channel("train", source, is_pipe=True),
        Channel("valid", Source("s3://bucket/train")),
    )
    assert files(given)["inputdataconfig"] == {
        "train": {"TrainingInputMode": "Pipe", "S3DistributionType": "ShardedByS3Key", "RecordWrapperType": "RecordIO"},
        "valid": {
            "TrainingInputMode": "FastFile",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
    }


def test_hosts_are_numbered_over_the_instance_groups() -> None:
    given = request(**groups(("cpu", 2), ("gpu", 1, "ml.g5.xlarge")))
    given["InputDataConfig"] = [
        channel("all"),
        channel("two", source={"InstanceGroupNames": ["cpu"]}),
        channel("both", source={"InstanceGroupNames": ["gpu", "cpu"]}),
        channel("one", source={"InstanceGroupNames": ["gpu"]}),
    ]
    refuse_unsupported(given)
    plan = plan_of(given)
    assert plan.hosts == ("algo-1", "algo-2", "algo-3")
    assert [plan.instance_type(host) for host in plan.hosts] == ["ml.m5.large", "ml.m5.large", "ml.g5.xlarge"]
    assert [plan.hosts_of(each) for each in plan.channels] == [plan.hosts, plan.hosts[:2], plan.hosts, plan.hosts[2:]]
    assert files(given, "algo-3")["resourceconfig"] == {
        "current_host": "algo-3",
        "current_instance_type": "ml.g5.xlarge",
        "current_group_name": "gpu",
        "hosts": ["algo-1", "algo-2", "algo-3"],
        "instance_groups": [
            {"instance_group_name": "cpu", "instance_type": "ml.m5.large", "hosts": ["algo-1", "algo-2"]},
            {"instance_group_name": "gpu", "instance_type": "ml.g5.xlarge", "hosts": ["algo-3"]},
        ],
        "network_interface_name": "eth0",
    }
    assert list(files(given, "algo-2")["inputdataconfig"]) == ["all", "two", "both"]
    assert list(files(given, "algo-3")["inputdataconfig"]) == ["all", "both", "one"]


def test_more_hosts_in_groups_than_a_machine_runs() -> None:
    with pytest.raises(ApiError, match="at most 20 instances on one machine; 21 are asked for"):
        plan_of(request(**groups(("a", 20), ("b", 1))))


def test_what_changes_nothing_on_one_machine_is_taken() -> None:
    refuse_unsupported(
        request(
            VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            EnableNetworkIsolation=False,
            EnableManagedSpotTraining=False,
            DebugHookConfig={"S3OutputPath": "s3://bucket/debug"},
            InputDataConfig=[channel(InputMode="File", CompressionType="None", RecordWrapperType="None")],
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
    )


def test_a_channel_may_override_the_mode_of_the_job() -> None:
    given = request(**algorithm(TrainingInputMode="Pipe"), InputDataConfig=[channel(InputMode="File"), channel("b")])
    refuse_unsupported(given)
    assert [each.is_pipe for each in plan_of(given).channels] == [False, True]
    modes = {name: of["TrainingInputMode"] for name, of in files(given)["inputdataconfig"].items()}
    assert modes == {"train": "File", "b": "Pipe"}
