"""The files by which a host finds the stage, written at each boot: nothing of them is in the user data."""

from collections.abc import Mapping
from pathlib import Path

METADATA = "169.254.169.254"
REGISTRY = "127.0.0.2"  # the name of the account's registry leads here, as the engine's ExtraHosts say
PASSED_ON = ("AWS_ENDPOINT_URL",)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MADE = "# Written at each boot of the host.\n"


def prepare(environment: Mapping[str, str], root: Path = Path("/")) -> None:
    """Write them below `root`. STAGEMAKER_REGISTRIES are the names and addresses of the registry, with commas."""
    known = {name: environment[name] for name in PASSED_ON if name in environment}
    files = {
        "etc/environment": "".join(f'{name}="{value}"\n' for name, value in known.items()),
        "etc/profile.d/aws.sh": _MADE + "".join(f"export {name}='{value}'\n" for name, value in known.items()),
        "etc/containers/containers.conf": containers(known),
        "etc/containers/registries.conf": registries(environment.get("STAGEMAKER_REGISTRIES", "")),
        "etc/containers/nodocker": "",  # so that `docker` does not say each time that it is podman
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def containers(variables: Mapping[str, str]) -> str:
    """podman's configuration: containers share the host's network, and are told the same variables."""
    told = ", ".join(
        f'"{each}"' for each in (f"PATH={PATH}", *(f"{name}={value}" for name, value in variables.items()))
    )
    return f"""{_MADE}[containers]
cgroups = "disabled"
netns = "host"
env = [{told}]
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
"""


def registries(names: str) -> str:
    """The account's registry speaks plain HTTP here."""
    entries = [f'[[registry]]\nlocation = "{name}"\ninsecure = true\n' for name in names.split(",") if name]
    return "\n".join([_MADE + 'unqualified-search-registries = ["docker.io"]\n', *entries])
