"""What a deployment is made of, as data: the values that a preset or the command line may change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_PROJECT = re.compile(r"[a-z](?:-?[a-z0-9]){1,19}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ORIGIN = re.compile(r"https?://[^/?#*\s]+")
MAX_RESERVED = 900  # of 1,000; Lambda keeps 100 for functions without a reservation
SYSTEMS = ("A", "B", "C", "E")
STRATEGIES = ("Bayesian", "Random")
EARLY_STOPPING = ("Auto", "Off")

# The trainer's own log lines: `epoch=3 train_loss=0.12 valid_loss=0.23 valid_accuracy=0.95`.
METRICS = MappingProxyType(
    {
        "train:loss": r"train_loss=([0-9.]+)",
        "validation:loss": r"valid_loss=([0-9.]+)",
        "validation:accuracy": r"valid_accuracy=([0-9.]+)",
    }
)


@dataclass(frozen=True)
class Ranges:
    """What a tuning job searches, as AWS takes it: every bound and value is a string. `continuous` are searched on a
    logarithmic scale."""

    continuous: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    categorical: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TuningSettings:
    """One search for hyperparameters: so many training jobs in all and at once. Raises ValueError for what AWS would
    not take."""

    jobs: int = 10
    parallel: int = 3
    strategy: str = "Bayesian"
    early_stopping: str = "Auto"

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= self.jobs <= 750 or self.parallel > 10:
            raise ValueError(
                f"{self.parallel} of {self.jobs} training jobs at once: AWS takes 1 to 750 jobs, and 1 to 10 at once."
            )
        if self.strategy not in STRATEGIES or self.early_stopping not in EARLY_STOPPING:
            known = f"{', '.join(STRATEGIES)}, and early stopping {' or '.join(EARLY_STOPPING)}"
            raise ValueError(f"The strategy must be one of {known}.")


@dataclass(frozen=True)
class FunctionSettings:
    """How the function may be called. `reserved` is how many of its invocations run at once, None for whatever the
    account has left, and `provisioned` how many environments of its alias wait warm. `has_url`: it has an address that
    anybody may call; `origins` are the web pages that may. Raises ValueError for what AWS would not take."""

    reserved: int | None = None
    provisioned: int = 0
    has_url: bool = False
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reserved is not None and not 0 <= self.reserved <= MAX_RESERVED:
            raise ValueError(f"{self.reserved} reserved: AWS takes 0 to {MAX_RESERVED} of an account's usual 1,000.")
        if not 0 <= self.provisioned <= (MAX_RESERVED if self.reserved is None else self.reserved):
            raise ValueError(
                f"{self.provisioned} provisioned: it must be 0 or more, and not more than what is reserved."
            )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not the origin of a page, such as https://example.com.")


@dataclass(frozen=True)
class DeploymentSettings:
    """One deployment. `project` begins every name; `system` is the form of the Lambda's events and answers
    (seed systems A, B, C, E). Raises ValueError for what AWS would not take."""

    project: str = "stagemaker-demo"
    region: str = "us-east-1"
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = METRICS
    training_instance_type: str = "ml.m5.xlarge"
    training_volume_gb: int = 30
    training_limit_s: int = 3600
    endpoint_instance_type: str = "ml.m5.large"
    endpoint_instances: int = 1
    function_runtime: str = "python3.13"
    function_memory_mb: int = 256
    function_timeout_s: int = 60
    system: str = "E"
    function: FunctionSettings = FunctionSettings()
    objective: str = "validation:accuracy"  # one of `metrics`, the more the better
    ranges: Ranges = Ranges()
    tuning: TuningSettings = TuningSettings()

    def __post_init__(self) -> None:
        if not _PROJECT.fullmatch(self.project):
            raise ValueError(
                f"The project name {self.project!r} must have 2 to 20 small letters, digits and single hyphens, "
                "and begin with a letter: it becomes part of the bucket's name."
            )
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"{self.region!r} is not the name of an AWS region, such as us-east-1.")
        if self.system not in SYSTEMS:
            raise ValueError(f"The system {self.system!r} must be one of {', '.join(SYSTEMS)}.")
