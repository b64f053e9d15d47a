"""The life of a notebook instance over the fake runtime."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.notebooks.notebook_environment import Notebooks, notebooks
from tests.unit.plugin.polling import until

GROUP = "/aws/sagemaker/NotebookInstances"
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/lab"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Notebooks]:
    with notebooks(tmp_path) as made:
        yield made


def configure(lab: Notebooks, **scripts: str) -> None:
    hooks = {hook: [{"Content": base64.b64encode(script.encode()).decode()}] for hook, script in scripts.items()}
    lab.configs.create(SCOPE, {"NotebookInstanceLifecycleConfigName": "setup", **hooks})


def refusal(lab: Notebooks, operation: str, **members: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        lab.call(operation, **members)
    return caught.value


def test_an_instance_comes_into_service_stops_starts_and_is_deleted(lab: Notebooks) -> None:
    assert lab.create(Tags=[{"Key": "team", "Value": "dogs"}]) == ARN
    found = lab.become("InService")
    assert found["Url"].startswith("127.0.0.1:")
    defaults = {
        "VolumeSizeInGB": 5,
        "DirectInternetAccess": "Enabled",
        "RootAccess": "Enabled",
        "PlatformIdentifier": "notebook-al2023-v1",
        "IpAddressType": "ipv4",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
    }
    assert {name: found[name] for name in defaults} == defaults
    lab.call("stop_notebook_instance")
    assert "Url" not in lab.become("Stopped")
    lab.call("start_notebook_instance")
    lab.become("InService")
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("delete_notebook_instance")
    until(lab.is_gone, "the record is gone")
    assert not list(lab.folder.rglob("lab"))


def test_the_volume_stays_over_a_stop(lab: Notebooks) -> None:
    lab.create()
    lab.become("InService")
    (volume,) = lab.folder.rglob("volume")
    (volume / "mine.ipynb").write_text("kept")
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("start_notebook_instance")
    lab.become("InService")
    mounts = {mount.target: mount.folder for mount in lab.runtime.started[1].mounts}
    assert (mounts["/home/ec2-user/SageMaker"] / "mine.ipynb").read_text() == "kept"


def test_the_container_knows_who_it_is_and_asks_for_its_role(lab: Notebooks) -> None:
    lab.create(SubnetId="subnet-1", SecurityGroupIds=["sg-1"])
    assert lab.become("InService")["SecurityGroups"] == ["sg-1"]
    spec = lab.runtime.started[0]
    mounts = {mount.target: mount for mount in spec.mounts}
    metadata = mounts["/opt/ml/metadata"]
    assert json.loads((metadata.folder / "resource-metadata.json").read_text()) == {
        "ResourceArn": ARN,
        "ResourceName": "lab",
    }
    assert not metadata.writable
    assert spec.environment["AWS_ACCESS_KEY_ID"] == "LSIAROLE"
    assert spec.credentials
    assert spec.credentials().access_key_id == "LSIAFRESH"
    assert (spec.published, spec.user, spec.instance_type) == (True, "root", "ml.t3.medium")
    assert lab.aws.subnets == {"subnet-1"}


def test_on_create_runs_once_and_on_start_each_time(lab: Notebooks) -> None:
    configure(lab, OnCreate="fine", OnStart="fine")
    lab.create(LifecycleConfigName="setup")
    assert lab.become("InService")["NotebookInstanceLifecycleConfigName"] == "setup"
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("start_notebook_instance")
    lab.become("InService")
    assert lab.logs.lines[GROUP, "lab/LifecycleConfigOnCreate"] == ["script fine"]
    assert lab.logs.lines[GROUP, "lab/LifecycleConfigOnStart"] == ["script fine"] * 2
    assert lab.logs.lines[GROUP, "lab/jupyter.log"] == ["JupyterLab"] * 2


def test_a_script_that_fails_fails_the_instance_which_can_be_started_again(lab: Notebooks) -> None:
    configure(lab, OnCreate="fails")
    lab.create(LifecycleConfigName="setup")
    reason = lab.become("Failed")["FailureReason"]
    assert reason.startswith("Notebook Instance Lifecycle Config 'arn:aws:sagemaker:eu-west-1:123456789012:notebook-")
    assert reason.endswith(f"for Notebook Instance '{ARN}' (OnCreate) failed with exit code 1.")
    content = base64.b64encode(b"fine").decode()
    lab.configs.update(SCOPE, {"NotebookInstanceLifecycleConfigName": "setup", "OnCreate": [{"Content": content}]})
    lab.call("start_notebook_instance")
    assert "FailureReason" not in lab.become("InService")


def test_a_script_that_takes_too_long_fails_the_instance(tmp_path: Path) -> None:
    with notebooks(tmp_path, limit_s=0.1) as lab:
        configure(lab, OnStart="waits")
        lab.create(LifecycleConfigName="setup")
        assert lab.become("Failed")["FailureReason"].endswith("(OnStart) took longer than 5 minutes.")
        assert not lab.runtime.containers[0].running


def test_a_container_that_ends_by_itself_fails_the_instance(lab: Notebooks) -> None:
    lab.create()
    lab.become("InService")
    lab.ends.set()
    assert lab.become("Failed")["FailureReason"] == "The notebook's container ended with exit code 3."


def test_an_address_opens_what_is_in_service_only(lab: Notebooks) -> None:
    lab.create()
    url = f"http://{lab.become('InService')['Url']}/lab?authToken=1800000300.43200."
    assert lab.call("create_presigned_notebook_instance_url")["AuthorizedUrl"].startswith(url)
    short = lab.call("create_presigned_notebook_instance_url", SessionExpirationDurationInSeconds=1800)
    assert "?authToken=1800000300.1800." in short["AuthorizedUrl"]
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    message = refusal(lab, "create_presigned_notebook_instance_url").message
    assert (
        message == f"Status (Stopped) not in ([InService]). Unable to create an address for Notebook Instance ({ARN})."
    )


def test_what_a_status_does_not_allow_is_refused_in_aws_s_words(lab: Notebooks) -> None:
    lab.create()
    lab.become("InService")
    for operation, to in (("start", "Pending"), ("delete", "Deleting"), ("update", "Updating")):
        message = refusal(lab, f"{operation}_notebook_instance").message
        expected = (
            f"Status (InService) not in ([Stopped, Failed]). Unable to transition to ({to}) for Notebook Instance"
        )
        assert message == f"{expected} ({ARN})."
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    message = refusal(lab, "stop_notebook_instance").message
    expected = "Status (Stopped) not in ([InService]). Unable to transition to (Stopping) for Notebook Instance"
    assert message == f"{expected} ({ARN})."


def test_an_update_changes_a_stopped_instance(lab: Notebooks) -> None:
    configure(lab, OnStart="fine")
    lab.create(LifecycleConfigName="setup", VolumeSizeInGB=10)
    lab.become("InService")
    lab.call("stop_notebook_instance")
    lab.become("Stopped")
    lab.call("update_notebook_instance", InstanceType="ml.t2.medium", DisassociateLifecycleConfig=True)
    found = lab.described()
    assert (found["NotebookInstanceStatus"], found["InstanceType"]) == ("Stopped", "ml.t2.medium")
    assert "NotebookInstanceLifecycleConfigName" not in found
    assert "cannot be less" in refusal(lab, "update_notebook_instance", VolumeSizeInGB=5).message


def test_a_name_that_is_taken_and_one_that_is_not(lab: Notebooks) -> None:
    assert refusal(lab, "stop_notebook_instance").message == "RecordNotFound"
    lab.create()
    with pytest.raises(ApiError, match="Cannot create a duplicate Notebook Instance"):
        lab.create()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"RoleArn": f"{ROLE}-other"}, "ValidationException"),
        ({"LifecycleConfigName": "none"}, "ValidationException"),
        ({"DirectInternetAccess": "Disabled"}, "ValidationException"),
        ({"DefaultCodeRepository": "https://example.com/dogs.git"}, "NotImplementedException"),
        ({"AcceleratorTypes": ["ml.eia1.medium"]}, "NotImplementedException"),
    ],
)
def test_what_cannot_be_started_is_refused_before(lab: Notebooks, members: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as caught:
        lab.create(**members)
    assert caught.value.code == code
    assert lab.is_gone()


def test_without_containers_there_are_no_instances(tmp_path: Path) -> None:
    with notebooks(tmp_path, image="") as lab:
        with pytest.raises(ApiError, match="process runtime") as caught:
            lab.create()
        assert caught.value.status == 501
        assert lab.notebooks.why_none() == caught.value.message


def test_with_their_image_there_may_be_instances(lab: Notebooks) -> None:
    assert lab.notebooks.why_none() == ""


def test_instances_are_listed_by_name_status_and_lifecycle_configuration(lab: Notebooks) -> None:
    configure(lab, OnStart="fine")
    lab.create(LifecycleConfigName="setup")
    lab.create(NotebookInstanceName="bench")
    lab.become("InService")

    def names(**filters: Any) -> list[str]:
        found = lab.notebooks.list_notebook_instances(SCOPE, filters)["NotebookInstances"]
        return [each["NotebookInstanceName"] for each in found]

    assert names() == ["bench", "lab"]
    assert names(SortOrder="Descending", MaxResults=1) == ["lab"]
    assert names(NotebookInstanceLifecycleConfigNameContains="SET") == ["lab"]
    assert names(StatusEquals="Stopped") == []
    assert names(DefaultCodeRepositoryContains="x") == []


def test_the_end_of_the_stage_ends_the_container(lab: Notebooks) -> None:
    lab.create()
    lab.become("InService")
    lab.supervisor.close()
    assert not lab.runtime.containers[0].running
