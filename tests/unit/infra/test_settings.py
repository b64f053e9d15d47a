import pytest

from infra.settings import DeploymentSettings, FunctionSettings


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


@pytest.mark.parametrize("reserved", [None, 0, 3, 900])
def test_what_aws_can_reserve(reserved: int | None) -> None:
    assert FunctionSettings(reserved).reserved == reserved


@pytest.mark.parametrize(("reserved", "provisioned"), [(-1, 0), (901, 0), (None, -1), (None, 901), (2, 3), (0, 1)])
def test_what_aws_cannot_reserve(reserved: int | None, provisioned: int) -> None:
    with pytest.raises(ValueError, match="reserved"):
        FunctionSettings(reserved, provisioned)


@pytest.mark.parametrize("origin", ["", "*", "localhost:3000", "http://localhost:3000/", "ftp://a", "https://a b"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="is not the origin of a page"):
        FunctionSettings(origins=(origin,))
