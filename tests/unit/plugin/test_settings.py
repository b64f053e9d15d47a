"""What the plugin reads from its environment."""

from pathlib import Path

import pytest

from stagemaker.settings import DockerSettings, ProcessSettings, RootKey, read_settings


def test_folders_and_gateway(tmp_path: Path) -> None:
    environment = {"STAGEMAKER_IMAGES": str(tmp_path), "STAGEMAKER_ENVIRONMENTS": str(tmp_path)}
    settings = read_settings(environment, tmp_path / "data", "http://127.0.0.1:4566")
    assert settings.process == ProcessSettings(tmp_path, tmp_path)
    assert settings.docker is None
    assert settings.work_dir == tmp_path / "data" / "stagemaker"
    assert settings.gateway_url == "http://127.0.0.1:4566"


@pytest.mark.parametrize("images", ["", "/no/such/folder"])
def test_a_missing_folder_is_named(tmp_path: Path, images: str) -> None:
    environment = {"STAGEMAKER_IMAGES": images, "STAGEMAKER_ENVIRONMENTS": str(tmp_path)}
    with pytest.raises(ValueError, match="STAGEMAKER_IMAGES must name a folder that exists"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")


def test_docker_needs_no_folder(tmp_path: Path) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "STAGEMAKER_GATEWAY_URL": "http://localstack:4566"}
    settings = read_settings(environment, tmp_path, "http://127.0.0.1:4566")
    assert settings.process is None
    assert settings.docker == DockerSettings("stagemaker", "auto", "none", "stagemaker/lambda:latest", "", 5000)
    assert settings.gateway_url == "http://localstack:4566"


def test_who_may_call(tmp_path: Path) -> None:
    environment = {
        "STAGEMAKER_RUNTIME": "docker",
        "STAGEMAKER_GATEWAY_URL": "http://localstack:4566",
        "LOCALSTACK_HOST": "127.0.0.1:4566",
        "STAGEMAKER_HOSTS": "dev.example.com, 10.0.0.5,",
        "EXTRA_CORS_ALLOWED_ORIGINS": "http://localhost:3000, https://app.example.com",
    }
    settings = read_settings(environment, tmp_path, "http://127.0.0.1:4566")
    assert settings.hosts == ("127.0.0.1:4566", "dev.example.com", "10.0.0.5", "localstack")
    assert settings.origins == ("http://localhost:3000", "https://app.example.com")


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_nobody_lets_every_web_page_in(tmp_path: Path, value: str) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "DISABLE_CORS_CHECKS": value}
    with pytest.raises(ValueError, match="DISABLE_CORS_CHECKS lets every web page in: set EXTRA_CORS_ALLOWED_ORIGINS"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("STAGEMAKER_RUNTIME", "podman", "must be one of process, docker"),
        ("STAGEMAKER_GPU", "yes", "must be one of auto, require, off"),
        ("STAGEMAKER_LIMITS", "some", "must be one of none, instance"),
        ("STAGEMAKER_IAM", "on", "must be one of off, soft, strict"),
        ("STAGEMAKER_REGISTRY_PORT", "99999", "must be the number of a port"),
        ("STAGEMAKER_REGISTRY_PORT", "5_000", "must be the number of a port"),
        ("STAGEMAKER_REGISTRY_PORT", "\u0665000", "must be the number of a port"),
        ("STAGEMAKER_NETWORK_POOL", "10.1.2.3/16", "must be a network such as 10.213.0.0/16"),
        ("STAGEMAKER_NETWORK_POOL", "8.8.0.0/16", "must be a private network"),
        ("STAGEMAKER_NETWORK_POOL", "169.254.0.0/16", "must be a private network"),
        ("STAGEMAKER_NETWORK_POOL", "10.213.0.0/26", "must be a private network of a /24 or more"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"{name} {sentence}"):
        read_settings({"STAGEMAKER_RUNTIME": "docker", name: value}, tmp_path, "http://127.0.0.1:4566")


@pytest.mark.parametrize(("value", "factor"), [("", 1), ("12", 12), ("60", 60)])
def test_time_is_compressed_by_a_divisor_of_a_minute(tmp_path: Path, value: str, factor: int) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "STAGEMAKER_TIME_COMPRESSION": value}
    assert read_settings(environment, tmp_path, "http://127.0.0.1:4566").time_compression == factor


@pytest.mark.parametrize("value", ["0", "7", "120", "fast"])
def test_another_compression_of_time_is_refused(tmp_path: Path, value: str) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "STAGEMAKER_TIME_COMPRESSION": value}
    with pytest.raises(ValueError, match="STAGEMAKER_TIME_COMPRESSION must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")


def test_without_a_setting_nothing_is_refused_and_there_is_no_key_of_our_own(tmp_path: Path) -> None:
    settings = read_settings({"STAGEMAKER_RUNTIME": "docker"}, tmp_path, "http://127.0.0.1:4566")
    assert (settings.iam, settings.root_keys) == ("off", ())


def test_root_keys_have_an_id_a_secret_and_an_account(tmp_path: Path) -> None:
    environment = {
        "STAGEMAKER_RUNTIME": "docker",
        "STAGEMAKER_IAM": "strict",
        "STAGEMAKER_ROOT_KEYS": "AKIALAB:wJalr/XU+tn:111122223333, me:mine:000000000000",
    }
    settings = read_settings(environment, tmp_path, "http://127.0.0.1:4566")
    assert settings.iam == "strict"
    assert settings.root_keys == (
        RootKey("AKIALAB", "wJalr/XU+tn", "111122223333"),
        RootKey("me", "mine", "000000000000"),
    )
    assert "mine" not in repr(settings)


def test_an_account_number_is_a_key_of_its_own_account(tmp_path: Path) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "STAGEMAKER_ROOT_KEYS": "111122223333:x:111122223333"}
    assert read_settings(environment, tmp_path, "http://127.0.0.1:4566").root_keys[0].secret == "x"
    environment["STAGEMAKER_ROOT_KEYS"] = "111122223333:x:444455556666"
    with pytest.raises(ValueError, match=r"is a key of its own account \(entry 1\)"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")


@pytest.mark.parametrize("entry", ["id:hidden", "id:hidden:12", "i d:hidden:000000000000", "id:hid:den:000000000000"])
def test_a_wrong_root_key_is_refused_without_its_secret(tmp_path: Path, entry: str) -> None:
    environment = {"STAGEMAKER_RUNTIME": "docker", "STAGEMAKER_ROOT_KEYS": f"a:b:000000000000,{entry}"}
    with pytest.raises(ValueError, match=r"must be a list of id:secret:account \(entry 2 is not\)"):
        read_settings(environment, tmp_path, "http://127.0.0.1:4566")
