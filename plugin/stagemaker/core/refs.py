"""What a record is called: its scope, kind and name, and the ARN that follows from them."""

from dataclasses import dataclass

SAGEMAKER = "sagemaker"


@dataclass(frozen=True)
class Partition:
    """A part of AWS with ARNs, names and accounts of its own. `name` is what its ARNs say, `dns` ends its hosts,
    `console` those of its web console."""

    name: str
    dns: str
    console: str


_AWS = Partition("aws", "amazonaws.com", "console.aws.amazon.com")
_OTHERS = {  # by how their regions begin, and no region of `aws` does
    "cn-": Partition("aws-cn", "amazonaws.com.cn", "console.amazonaws.cn"),
    "us-gov-": Partition("aws-us-gov", "amazonaws.com", "console.amazonaws-us-gov.com"),
    "eusc-": Partition("aws-eusc", "amazonaws.eu", "console.amazonaws-eusc.eu"),
    "us-iso-": Partition("aws-iso", "c2s.ic.gov", "console.c2shome.ic.gov"),
    "us-isob-": Partition("aws-iso-b", "sc2s.sgov.gov", "console.sc2shome.sgov.gov"),
    "eu-isoe-": Partition("aws-iso-e", "cloud.adc-e.uk", "console.csphome.adc-e.uk"),
    "us-isof-": Partition("aws-iso-f", "csp.hci.ic.gov", "console.csphome.hci.ic.gov"),
}


def partition_of(region: str) -> Partition:
    """The partition that a region is in; `aws` for one that no partition has."""
    return next((found for begin, found in _OTHERS.items() if region.startswith(begin)), _AWS)


@dataclass(frozen=True)
class Scope:
    """Whose records, and where: every operation takes one."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """`arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return f"arn:{partition_of(self.region).name}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def registry(self) -> str:
        """The host of ECR's images on AWS."""
        return f"{self.account}.dkr.ecr.{self.region}.{partition_of(self.region).dns}"

    @property
    def console(self) -> str:
        """The host of the region's web console."""
        return f"{self.region}.{partition_of(self.region).console}"


@dataclass(frozen=True)
class Kind:
    """A kind of record. `segment` is the ARN's word for it, such as `training-job`; `noun` is the word that begins its
    members in the API, such as `TrainingJob` in `TrainingJobName`.

    SageMaker writes names in lower case into ARNs (`lowers`), so that two names that differ by case only are one.
    `separator` stands between segment and name in the ARN."""

    segment: str
    noun: str
    service: str = SAGEMAKER
    lowers: bool = True
    separator: str = "/"

    @property
    def name_member(self) -> str:
        """Of a request, a record and an answer."""
        return f"{self.noun}Name"

    @property
    def arn_member(self) -> str:
        """Of a record and an answer."""
        return f"{self.noun}Arn"

    @property
    def words(self) -> str:
        """As a sentence says it: `training job`."""
        return self.segment.replace("-", " ")


@dataclass(frozen=True)
class Ref:
    """One record's address."""

    scope: Scope
    kind: Kind
    name: str

    @property
    def arn(self) -> str:
        """Of the resource."""
        name = self.name.lower() if self.kind.lowers else self.name
        return self.scope.arn(self.kind.service, f"{self.kind.segment}{self.kind.separator}{name}")
