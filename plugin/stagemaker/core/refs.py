"""What a record is called: its scope, kind and name, and the ARN that follows from them."""

from dataclasses import dataclass

SAGEMAKER = "sagemaker"


@dataclass(frozen=True)
class Scope:
    """Whose records, and where: every operation takes one."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Kind:
    """A kind of record. `segment` is the ARN's word for it, such as `training-job`; `noun` is the word that begins its
    members in the API, such as `TrainingJob` in `TrainingJobName`.

    SageMaker writes names in lower case into ARNs (`lowers`), so that two names that differ by case only are one."""

    segment: str
    noun: str
    service: str = SAGEMAKER
    lowers: bool = True

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
        return self.scope.arn(self.kind.service, f"{self.kind.segment}/{name}")
