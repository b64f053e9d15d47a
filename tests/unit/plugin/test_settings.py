"""What the plugin reads from its environment."""

from pathlib import Path

import pytest

from stagemaker.settings import read_settings


def test_folders_and_gateway(tmp_path: Path) -> None:
    environment = {"STAGEMAKER_IMAGES": str(tmp_path), "STAGEMAKER_ENVIRONMENTS": str(tmp_path)}
    settings = read_settings(environment, tmp_path / "data", "http://127.0.0.1:4566")
    assert (settings.images, settings.environments) == (tmp_path, tmp_path)
    assert settings.work_dir == tmp_path / "data" / "stagemaker"
    assert settings.gateway_url == "http://127.0.0.1:4566"


@pytest.mark.parametrize("images", ["", "/no/such/folder"])
def test_a_missing_folder_is_named(tmp_path: Path, images: str) -> None:
    environment = {"STAGEMAKER_IMAGES": images, "STAGEMAKER_ENVIRONMENTS": str(tmp_path)}
    with pytest.raises(ValueError, match="STAGEMAKER_IMAGES must name a folder that exists"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")
