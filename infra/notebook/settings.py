"""The notebook instance of a deployment as data: the table [notebook] of a preset."""

import re
from dataclasses import dataclass

_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+")
_REPOSITORY = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]")
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
MIN_VOLUME_GB, MAX_VOLUME_GB = 5, 16_384  # AWS's
MAX_SECURITY_GROUPS = 5  # AWS's
MAX_IDLE_MINUTES = 7 * 24 * 60  # (ours)


@dataclass(frozen=True)
class NotebookSettings:
    """What the notebook instance runs on. Its volume holds the packages of the notebook and all that a person writes.

    `repository` is an https address that is cloned once, and `commit` what of it is checked out: a commit, a branch or
    a tag, "" for its default branch. After `idle_minutes` without use the instance stops itself; 0 for never. It is in
    SageMaker's own network, or with `subnet` (an id) also in that, with `security_groups` (ids); then `direct_internet`
    may be false, and it reaches the internet by the subnet alone. Raises ValueError for what AWS would not take."""

    instance_type: str = "ml.t3.medium"
    volume_gb: int = 10
    repository: str = ""
    commit: str = ""
    idle_minutes: int = 60
    subnet: str = ""
    security_groups: tuple[str, ...] = ()
    direct_internet: bool = True

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.instance_type):
            raise ValueError(f"{self.instance_type!r} is not an instance type of SageMaker, such as ml.t3.medium.")
        if not MIN_VOLUME_GB <= self.volume_gb <= MAX_VOLUME_GB:
            raise ValueError(f"{self.volume_gb} GB: AWS takes {MIN_VOLUME_GB} to {MAX_VOLUME_GB:,}.")
        if self.repository and not _REPOSITORY.fullmatch(self.repository):
            raise ValueError(
                f"The repository {self.repository!r} must be an address such as https://example.com/a/b.git."
            )
        if self.commit and not (self.repository and _COMMIT.fullmatch(self.commit)):
            raise ValueError(f"The commit {self.commit!r} must be a commit, a branch or a tag of a repository.")
        if not 0 <= self.idle_minutes <= MAX_IDLE_MINUTES:
            raise ValueError(f"{self.idle_minutes} minutes without use: it must be 0 to {MAX_IDLE_MINUTES:,}.")
        if bool(self.subnet) != bool(self.security_groups) or len(self.security_groups) > MAX_SECURITY_GROUPS:
            raise ValueError(f"A subnet needs security groups, at most {MAX_SECURITY_GROUPS}, and they need a subnet.")
        if not self.direct_internet and not self.subnet:
            raise ValueError("Without direct internet there must be a subnet.")
