"""What the plugin reads from its environment, once and in one place: whoever starts LocalStack sets it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

RUNTIMES = ("process", "docker")
GPU_POLICIES = ("auto", "require", "off")
LIMITS = ("none", "instance")
IAM_MODES = ("off", "soft", "strict")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ROOT_KEY = re.compile(r"(\w{1,128}):([^\s:,]+):(\d{12})", re.ASCII)
NOTEBOOK_IMAGE = "stagemaker/notebook:latest"
NETWORK_POOL = IPv4Network("10.213.0.0/16")  # 1,024 networks


@dataclass(frozen=True)
class ProcessSettings:
    """Where the process runtime finds images and environments."""

    images: Path  # STAGEMAKER_IMAGES: `containers/` of the repository, one folder an image
    environments: Path  # STAGEMAKER_ENVIRONMENTS: one virtual environment an image


@dataclass(frozen=True)
class DockerSettings:
    """How the Docker runtime runs containers beside LocalStack's own."""

    network: str  # STAGEMAKER_NETWORK: the engine's network that LocalStack and all that we start are on
    gpu: str  # STAGEMAKER_GPU: auto (when the engine offers one), require, off
    limits: str  # STAGEMAKER_LIMITS: none, or instance: CPU and memory as the instance type has them
    function_image: str  # STAGEMAKER_FUNCTION_IMAGE: what runs the functions that are zip files
    registry_url: str  # STAGEMAKER_REGISTRY_URL: the registry service, as we reach it; empty: there is none
    registry_port: int  # STAGEMAKER_REGISTRY_PORT: of this machine's loopback, where clients and the engine reach ECR
    network_pool: IPv4Network = NETWORK_POOL  # STAGEMAKER_NETWORK_POOL: each job, endpoint and function has a /26 of it
    notebook_image: str = NOTEBOOK_IMAGE  # STAGEMAKER_NOTEBOOK_IMAGE: what notebook instances run


@dataclass(frozen=True)
class RootKey:
    """An access key of an account's root user."""

    access_key_id: str
    secret: str = field(repr=False)
    account: str


@dataclass(frozen=True)
class Settings:
    """How this LocalStack executes things: exactly one of `process` and `docker` is set."""

    process: ProcessSettings | None
    docker: DockerSettings | None
    work_dir: Path  # ours alone: emptied at the start, gone at the end
    gateway_url: str  # STAGEMAKER_GATEWAY_URL: where containers and we ourselves reach AWS's services
    hosts: tuple[str, ...] = ()  # LOCALSTACK_HOST, STAGEMAKER_HOSTS, and the gateway's: names that callers may use
    interruptions: str = ""  # STAGEMAKER_SPOT_INTERRUPTIONS: when managed spot training is interrupted by itself
    time_compression: int = 1  # STAGEMAKER_TIME_COMPRESSION: so many seconds of Application Auto Scaling pass in one
    origins: tuple[str, ...] = ()  # EXTRA_CORS_ALLOWED_ORIGINS: of the web applications that may call
    iam: str = "off"  # STAGEMAKER_IAM: off, soft (what AWS would refuse is written down) or strict (it is refused)
    root_keys: tuple[RootKey, ...] = ()  # STAGEMAKER_ROOT_KEYS: id:secret:account, with commas between them


def read_settings(environment: Mapping[str, str], data_dir: Path, gateway_url: str) -> Settings:
    """Raise ValueError with one sentence when a variable is missing or wrong. `gateway_url` is the default."""
    runtime = _choice(environment, "STAGEMAKER_RUNTIME", RUNTIMES)
    if environment.get("DISABLE_CORS_CHECKS", "").lower() in ("1", "true"):
        raise ValueError("DISABLE_CORS_CHECKS lets every web page in: set EXTRA_CORS_ALLOWED_ORIGINS instead.")
    gateway_url = environment.get("STAGEMAKER_GATEWAY_URL") or gateway_url
    names = (*_words(environment, "LOCALSTACK_HOST"), *_words(environment, "STAGEMAKER_HOSTS"))
    return Settings(
        process=_process(environment) if runtime == "process" else None,
        docker=_docker(environment) if runtime == "docker" else None,
        work_dir=data_dir / "stagemaker",
        gateway_url=gateway_url,
        hosts=(*names, urlsplit(gateway_url).hostname or ""),
        interruptions=environment.get("STAGEMAKER_SPOT_INTERRUPTIONS", ""),
        time_compression=_factor(environment, "STAGEMAKER_TIME_COMPRESSION"),
        origins=_words(environment, "EXTRA_CORS_ALLOWED_ORIGINS"),
        iam=_choice(environment, "STAGEMAKER_IAM", IAM_MODES),
        root_keys=_root_keys(environment),
    )


def _process(environment: Mapping[str, str]) -> ProcessSettings:
    return ProcessSettings(_folder(environment, "STAGEMAKER_IMAGES"), _folder(environment, "STAGEMAKER_ENVIRONMENTS"))


def _docker(environment: Mapping[str, str]) -> DockerSettings:
    return DockerSettings(
        network=environment.get("STAGEMAKER_NETWORK") or "stagemaker",
        gpu=_choice(environment, "STAGEMAKER_GPU", GPU_POLICIES),
        limits=_choice(environment, "STAGEMAKER_LIMITS", LIMITS),
        function_image=environment.get("STAGEMAKER_FUNCTION_IMAGE") or "stagemaker/lambda:latest",
        registry_url=environment.get("STAGEMAKER_REGISTRY_URL", ""),
        registry_port=_port(environment, "STAGEMAKER_REGISTRY_PORT", 5000),
        network_pool=_pool(environment),
        notebook_image=environment.get("STAGEMAKER_NOTEBOOK_IMAGE") or NOTEBOOK_IMAGE,
    )


def _root_keys(environment: Mapping[str, str]) -> tuple[RootKey, ...]:
    """The sentence of an error names no secret."""
    keys = []
    for number, word in enumerate(_words(environment, "STAGEMAKER_ROOT_KEYS"), 1):
        found = _ROOT_KEY.fullmatch(word)
        if found is None:
            raise ValueError(f"STAGEMAKER_ROOT_KEYS must be a list of id:secret:account (entry {number} is not).")
        key = RootKey(*found.groups())
        if _ACCOUNT.fullmatch(key.access_key_id) and key.access_key_id != key.account:
            raise ValueError(f"STAGEMAKER_ROOT_KEYS: an account number is a key of its own account (entry {number}).")
        keys.append(key)
    return tuple(keys)


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Of a list with commas."""
    return tuple(word.strip() for word in environment.get(name, "").split(",") if word.strip())


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """The first is the default."""
    value = environment.get(name) or choices[0]
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)} (it is {value}).")
    return value


def _pool(environment: Mapping[str, str]) -> IPv4Network:
    value = environment.get("STAGEMAKER_NETWORK_POOL") or str(NETWORK_POOL)
    try:
        pool = IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"STAGEMAKER_NETWORK_POOL must be a network such as {NETWORK_POOL} ({error}).") from error
    if not pool.is_private or pool.is_link_local or pool.is_loopback or pool.prefixlen > 24:
        raise ValueError(f"STAGEMAKER_NETWORK_POOL must be a private network of a /24 or more (it is {value}).")
    return pool


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not (value.isascii() and value.isdecimal()) or not 0 < int(value) < 65536:
        raise ValueError(f"{name} must be the number of a port (it is {value}).")
    return int(value)


def _factor(environment: Mapping[str, str], name: str) -> int:
    """A compressed minute has whole seconds, as CloudWatch's data have."""
    return int(_choice(environment, name, tuple(str(factor) for factor in range(1, 61) if 60 % factor == 0)))


def _folder(environment: Mapping[str, str], name: str) -> Path:
    value = environment.get(name)
    if not value or not Path(value).is_dir():
        raise ValueError(f"{name} must name a folder that exists (it is {value or 'not set'}).")
    return Path(value).absolute()
