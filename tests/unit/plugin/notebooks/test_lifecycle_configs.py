"""Lifecycle configurations as records."""

from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.notebooks.notebook_environment import notebooks

NAME = {"NotebookInstanceLifecycleConfigName": "setup"}
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance-lifecycle-config/setup"
SCRIPT = [{"Content": "IyEvYmluL2Jhc2gK"}]


def test_a_configuration_is_kept_changed_listed_and_deleted(tmp_path: Path) -> None:
    with notebooks(tmp_path) as lab:
        configs = lab.configs
        assert configs.create(SCOPE, {**NAME, "OnCreate": SCRIPT}) == {"NotebookInstanceLifecycleConfigArn": ARN}
        lab.clock.now += 5
        configs.update(SCOPE, {**NAME, "OnStart": SCRIPT})
        found = configs.describe(SCOPE, NAME)
        assert (found["OnCreate"], found["OnStart"]) == (SCRIPT, SCRIPT)
        assert found["LastModifiedTime"] == found["CreationTime"] + 5
        (listed,) = configs.list(SCOPE, {"SortBy": "LastModifiedTime"})["NotebookInstanceLifecycleConfigs"]
        assert listed["NotebookInstanceLifecycleConfigArn"] == ARN
        configs.delete(SCOPE, NAME)
        assert configs.list(SCOPE, {}) == {"NotebookInstanceLifecycleConfigs": []}


@pytest.mark.parametrize("operation", ["describe", "update", "delete"])
def test_what_is_not_there_is_named_in_aws_s_words(tmp_path: Path, operation: str) -> None:
    with notebooks(tmp_path) as lab, pytest.raises(ApiError) as caught:
        getattr(lab.configs, operation)(SCOPE, NAME)
    expected = f"Unable to {operation} Notebook Instance Lifecycle Config '{ARN}'."
    assert caught.value.message == f"{expected} (Details: Notebook Instance Lifecycle Config does not exist.)"


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with notebooks(tmp_path) as lab:
        lab.configs.create(SCOPE, NAME)
        with pytest.raises(ApiError, match="already exists"):
            lab.configs.create(SCOPE, NAME)


def test_what_is_not_base64_is_refused(tmp_path: Path) -> None:
    with notebooks(tmp_path) as lab, pytest.raises(ApiError, match="base64"):
        lab.configs.create(SCOPE, {**NAME, "OnStart": [{"Content": "#!/bin/bash"}]})


def test_one_that_an_instance_names_is_not_deleted(tmp_path: Path) -> None:
    with notebooks(tmp_path) as lab:
        lab.configs.create(SCOPE, NAME)
        lab.create(LifecycleConfigName="setup")
        with pytest.raises(ApiError, match=r"is used by lab\."):
            lab.configs.delete(SCOPE, NAME)
        lab.become("InService")
