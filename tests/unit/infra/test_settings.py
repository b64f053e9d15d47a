import pytest

from infra.settings import DeploymentSettings


@pytest.mark.parametrize("project", ["dogs", "stagemaker-demo", "a1", "a" * 20])
def test_good_projects(project: str) -> None:
    assert DeploymentSettings(project=project).project == project


@pytest.mark.parametrize("project", ["", "a", "Dogs", "1dogs", "dogs-", "-dogs", "do--gs", "d_gs", "dögs", "a" * 21])
def test_bad_projects(project: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        DeploymentSettings(project=project)


@pytest.mark.parametrize("region", ["", "us-east", "US-EAST-1", "local"])
def test_bad_regions(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        DeploymentSettings(region=region)


def test_bad_system() -> None:
    with pytest.raises(ValueError, match="A, B, C, E"):
        DeploymentSettings(system="D")
