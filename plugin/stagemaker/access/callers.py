"""Who signed a request, as policies see it. Pure."""

from dataclasses import dataclass

from stagemaker.access.request import Principal

ANONYMOUS = Principal("anonymous")  # only a statement for everybody names it


@dataclass(frozen=True)
class Caller:
    """Who signed a request."""

    principal: Principal
    access_key_id: str  # empty: the request was not signed
    user_id: str  # aws:userid: AIDA..., AROA...:session, ACCOUNT:name of a federated user, or the account of its root
    user_name: str | None = None  # aws:username, of IAM users only
    session_policies: tuple[str, ...] = ()  # JSON texts that AssumeRole or GetFederationToken was given
    has_session_policy: bool = False
    issued_s: float | None = None  # aws:TokenIssueTime of a session, in epoch seconds
    source_ip: str = "127.0.0.1"
    is_stage: bool = False  # a call that the stage or LocalStack makes itself: never refused, never recorded
    identity_arn: str | None = None  # of a federated user: the user, or root, whose policies it has; else the principal
    session_tags: tuple[tuple[str, str], ...] = ()  # of AssumeRole: aws:PrincipalTag, before the tags of the role
    subnet: str = ""  # the id of the subnet in which a job or an endpoint runs under the role; empty: in none

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody signed the request."""
        return self.principal == ANONYMOUS


def root_of(account: str, access_key_id: str, *, source_ip: str = "127.0.0.1", is_stage: bool = False) -> Caller:
    """The root user of the account, whom no policy limits."""
    principal = Principal(f"arn:aws:iam::{account}:root")
    return Caller(principal, access_key_id, account, source_ip=source_ip, is_stage=is_stage)


def anonymous(source_ip: str = "127.0.0.1") -> Caller:
    """The sender of a request without a signature."""
    return Caller(ANONYMOUS, "", "anonymous", source_ip=source_ip)
