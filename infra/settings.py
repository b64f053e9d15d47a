"""What a deployment is made of, as data: the values that a preset or the command line may change."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from infra.accounts import check_account
from infra.data_bucket.settings import DataSettings
from infra.ec2.settings import Ec2Settings
from infra.encryption.settings import EncryptionSettings
from infra.image_settings import ImageSettings
from infra.network.settings import NetworkSettings
from infra.notebook.settings import NotebookSettings

_PROJECT = re.compile(r"[a-z](?:-?[a-z0-9]){1,19}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ORIGIN = re.compile(r"https?://[^/?#*\s]+")
_MODEL = re.compile("[a-z][a-z0-9]{0,19}")
_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+")
MAX_TRAINING_S = 28 * 24 * 3600  # AWS's
MAX_RESERVED = 900  # of 1,000; Lambda keeps 100 for functions without a reservation
SYSTEMS = ("A", "B", "C", "E")
STRATEGIES = ("Bayesian", "Random")
EARLY_STOPPING = ("Auto", "Off")
URL_AUTH = ("AWS_IAM", "NONE")

# The trainer's own log lines: `epoch=3 train_loss=0.12 valid_loss=0.23 valid_accuracy=0.95`.
METRICS = MappingProxyType(
    {
        "train:loss": r"train_loss=([0-9.]+)",
        "validation:loss": r"valid_loss=([0-9.]+)",
        "validation:accuracy": r"valid_accuracy=([0-9.]+)",
    }
)


def _check_type(name: str) -> None:
    if not _TYPE.fullmatch(name):
        raise ValueError(f"{name!r} is not an instance type of SageMaker, such as ml.m5.xlarge.")


@dataclass(frozen=True)
class TrainingSettings:
    """What a training job runs on, and how long it may take. With several instances it trains one model in all of them.
    `spot`: on managed spot instances, which AWS may take back; `max_wait_s` is then how long the job may take with all
    waiting, None for twice its limit (ours). Raises ValueError for what AWS would not take."""

    instance_type: str = "ml.m5.xlarge"
    instances: int = 1
    volume_gb: int = 30
    limit_s: int = 3600
    spot: bool = False
    max_wait_s: int | None = None

    def __post_init__(self) -> None:
        _check_type(self.instance_type)
        if self.instances < 1 or self.volume_gb < 1 or not 1 <= self.limit_s <= MAX_TRAINING_S:
            raise ValueError(
                f"{self.instances} instances of {self.volume_gb} GB for {self.limit_s} s: AWS takes 1 instance or "
                f"more, 1 GB or more, and 1 to {MAX_TRAINING_S} s."
            )
        if self.max_wait_s is not None and not (self.spot and self.max_wait_s >= self.limit_s):
            raise ValueError(
                f"max_wait_s is {self.max_wait_s}: only a job with spot = true has it, and it is not less than the "
                f"job's limit of {self.limit_s} s."
            )

    @property
    def wait_limit_s(self) -> int:
        """How long a job on spot instances may take with all waiting."""
        return 2 * self.limit_s if self.max_wait_s is None else self.max_wait_s


@dataclass(frozen=True)
class ScalingSettings:
    """A scalable target and its target tracking policy. `target` is in invocations a minute for each instance. Raises
    ValueError for what AWS would not take."""

    min_instances: int
    max_instances: int
    target: float
    scale_in_cooldown_s: int = 300  # AWS's defaults
    scale_out_cooldown_s: int = 300

    def __post_init__(self) -> None:
        if not 1 <= self.min_instances <= self.max_instances or self.target <= 0:
            raise ValueError(f"{self}: the least must be 1 or more, the most not below it, and the target above 0.")
        if min(self.scale_in_cooldown_s, self.scale_out_cooldown_s) < 0:
            raise ValueError(f"{self}: a cooldown must be 0 s or more.")

    def __str__(self) -> str:
        return (
            f"{self.min_instances} to {self.max_instances} instances, target {self.target:g} invocations a minute for "
            f"each, cooldowns {self.scale_in_cooldown_s} s in and {self.scale_out_cooldown_s} s out"
        )


@dataclass(frozen=True)
class EndpointSettings:
    """What an endpoint runs on. With `scaling`, `instances` is how many it begins with. Raises ValueError for what AWS
    would not take."""

    instance_type: str = "ml.m5.large"
    instances: int = 1
    scaling: ScalingSettings | None = None

    def __post_init__(self) -> None:
        _check_type(self.instance_type)
        if self.instances < 1:
            raise ValueError(f"{self.instances} instances: AWS takes 1 or more.")
        if (of := self.scaling) and not of.min_instances <= self.instances <= of.max_instances:
            raise ValueError(f"{self.instances} instances to begin with, and scaling has {of}.")


@dataclass(frozen=True)
class ModelSettings:
    """A training job, the model that comes of it and its endpoint. `name` is part of the endpoint's name; the only
    model of a deployment needs none. Raises ValueError for a name that cannot be part of one."""

    name: str = ""
    training: TrainingSettings = TrainingSettings()
    endpoint: EndpointSettings = EndpointSettings()

    def __post_init__(self) -> None:
        if self.name and not _MODEL.fullmatch(self.name):
            raise ValueError(f"The name of a model, {self.name!r}, must have 1 to 20 small letters and digits.")


@dataclass(frozen=True)
class Ranges:
    """What a tuning job searches, as AWS takes it: every bound and value is a string. `continuous` are searched on a
    logarithmic scale."""

    continuous: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    categorical: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TuningSettings:
    """One search for hyperparameters: so many training jobs in all and at once, each as the first model's. `objective`
    is one of METRICS: a loss is made small, an accuracy large. Raises ValueError for what AWS would not take."""

    jobs: int = 10
    parallel: int = 3
    strategy: str = "Bayesian"
    early_stopping: str = "Auto"
    objective: str = "validation:accuracy"
    ranges: Ranges = Ranges()

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= self.jobs <= 750 or self.parallel > 10:
            raise ValueError(
                f"{self.parallel} of {self.jobs} training jobs at once: AWS takes 1 to 750 jobs, and 1 to 10 at once."
            )
        if self.strategy not in STRATEGIES or self.early_stopping not in EARLY_STOPPING:
            known = f"{', '.join(STRATEGIES)}, and early stopping {' or '.join(EARLY_STOPPING)}"
            raise ValueError(f"The strategy must be one of {known}.")
        if self.objective not in METRICS:
            raise ValueError(f"The objective {self.objective!r} must be one of {', '.join(METRICS)}.")


@dataclass(frozen=True)
class FunctionSettings:
    """The function before an endpoint, and how it may be called. `system` is the form of its events and answers (seed
    systems A, B, C, E); `model` names the model whose endpoint it calls, the first one where it names none. `reserved`
    is how many of its invocations run at once, None for whatever the account has left, and `provisioned` how many
    environments of its alias wait warm. `url`: it has an address; `url_auth` says who may call that: AWS_IAM those whom
    IAM allows, NONE anybody; without it AWS_IAM on AWS, and NONE on this machine. `origins` are the web pages that may.
    Raises ValueError for what AWS would not take."""

    system: str = "E"
    model: str = ""
    runtime: str = "python3.13"
    memory_mb: int = 256
    timeout_s: int = 60
    reserved: int | None = None
    provisioned: int = 0
    url: bool = False
    url_auth: str | None = None
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.system not in SYSTEMS:
            raise ValueError(f"The system {self.system!r} must be one of {', '.join(SYSTEMS)}.")
        if not 128 <= self.memory_mb <= 10_240 or not 1 <= self.timeout_s <= 900:
            raise ValueError(
                f"{self.memory_mb} MB and {self.timeout_s} s: Lambda takes 128 to 10,240 MB, and 1 to 900 s."
            )
        if self.reserved is not None and not 0 <= self.reserved <= MAX_RESERVED:
            raise ValueError(f"{self.reserved} reserved: AWS takes 0 to {MAX_RESERVED} of an account's usual 1,000.")
        if not 0 <= self.provisioned <= (MAX_RESERVED if self.reserved is None else self.reserved):
            raise ValueError(
                f"{self.provisioned} provisioned: it must be 0 or more, and not more than what is reserved."
            )
        if self.url_auth not in (None, *URL_AUTH):
            raise ValueError(f"url_auth is {self.url_auth!r}; Lambda knows {' and '.join(URL_AUTH)}.")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not the origin of a page, such as https://example.com.")


@dataclass(frozen=True)
class BudgetSettings:
    """What a deployment may cost on AWS at most, in US dollars, as `plan` counts it: by the hour and by the month while
    it stands, and at worst. None: as much as it does. Raises ValueError for what is no amount."""

    hour_usd: float | None = None
    month_usd: float | None = None
    at_worst_usd: float | None = None

    def __post_init__(self) -> None:
        for amount in (self.hour_usd, self.month_usd, self.at_worst_usd):
            if amount is not None and not (math.isfinite(amount) and amount > 0):
                raise ValueError(f"The budget of {amount} US dollars must be above 0.")


@dataclass(frozen=True)
class DeploymentSettings:
    """One deployment. `project` begins every name. On AWS no other `account` is taken, where one is named. `tags` are
    those that its resources have besides the project's. Without `data` the photos of this machine are sent to the
    deployment's own bucket. `hyperparameters` are of all training jobs. Without `network` jobs and endpoints run in
    SageMaker's own, without `encryption` AWS encrypts with keys of its own, without `ec2` there is no EC2 host, and
    without `notebook` no notebook instance. Raises ValueError for what AWS would not take."""

    project: str = "stagemaker-demo"
    region: str = "us-east-1"
    account: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    data: DataSettings | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    models: tuple[ModelSettings, ...] = (ModelSettings(),)
    tuning: TuningSettings = TuningSettings()
    function: FunctionSettings = FunctionSettings()
    images: ImageSettings = ImageSettings()  # noqa: RUF009 - frozen
    network: NetworkSettings | None = None
    encryption: EncryptionSettings | None = None
    ec2: Ec2Settings | None = None
    notebook: NotebookSettings | None = None
    budget: BudgetSettings = BudgetSettings()

    def __post_init__(self) -> None:
        if not _PROJECT.fullmatch(self.project):
            raise ValueError(
                f"The project name {self.project!r} must have 2 to 20 small letters, digits and single hyphens, "
                "and begin with a letter: it becomes part of the bucket's name."
            )
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"{self.region!r} is not the name of an AWS region, such as us-east-1.")
        if self.account is not None:
            check_account(self.account)
        if ours := [key for key in self.tags if key.startswith(("aws:", "stagemaker:"))]:
            raise ValueError(f"The tag {ours[0]!r} cannot be given: AWS and Stagemaker have tags that begin so.")
        if self.data and re.fullmatch(rf"{self.project}-[0-9]{{12}}-{self.region}", self.data.bucket):
            raise ValueError(
                f"The bucket of the data, {self.data.bucket}, has the name of a deployment's own, which is deleted "
                "with it: name another."
            )
        if self.data and self.data.key_region not in ("", self.region):
            raise ValueError(
                f"The KMS key of the photos is in {self.data.key_region}, and the deployment in {self.region}: S3 "
                "encrypts with a key of the bucket's region, and SageMaker reads a bucket of its own."
            )
        names = [model.name for model in self.models]
        if not names or len(set(names)) < len(names) or (len(names) > 1 and "" in names):
            raise ValueError("There must be a model, and several must each have a name of their own.")
        if self.function.model and self.function.model not in names:
            raise ValueError(f"The function calls the model {self.function.model!r}, and there is none of that name.")

    @property
    def called_model(self) -> ModelSettings:
        """The model whose endpoint the function calls."""
        wanted = self.function.model or self.models[0].name
        return next(model for model in self.models if model.name == wanted)
