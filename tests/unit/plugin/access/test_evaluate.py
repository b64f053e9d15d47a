"""How the policies of one request work together: one rule of IAM in each test."""

from collections.abc import Sequence

import pytest

from stagemaker.access.evaluate import Decision, Outcome, Policies, Source
from stagemaker.access.request import Principal
from tests.unit.plugin.access.questions import (
    ACCOUNT,
    ALLOWED,
    ASSUMED_ROLE_ARN,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    OTHER_ACCOUNT,
    ROLE_ARN,
    ROOT_USER,
    SERVICE,
    SESSION,
    STRANGER,
    USER,
    allow,
    ask,
    deny,
    grant,
    policy,
)

YES, NOTHING = policy(allow()), policy(allow(Action="ecr:*"))
NO = policy(deny())
ACCOUNT_ARN, STRANGERS_ARN = f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{OTHER_ACCOUNT}:root"


def assume(policies: Policies, principal: Principal = USER) -> Decision:
    return ask(policies, principal, "sts:AssumeRole", ASSUMED_ROLE_ARN)


def test_a_boundary_limits_the_identity_policies() -> None:
    assert ask(Policies((YES,), boundary=YES)).outcome is ALLOWED
    decision = ask(Policies((YES,), boundary=NOTHING))
    assert (decision.outcome, decision.lacking) == (IMPLICIT_DENY, (Source.BOUNDARY,))


def test_a_boundary_alone_allows_nothing() -> None:
    assert ask(Policies(boundary=YES)).lacking == (Source.IDENTITY,)


def test_a_session_policy_limits_the_identity_policies() -> None:
    assert ask(Policies((YES,), session=YES), SESSION).outcome is ALLOWED
    assert ask(Policies((YES,), session=NOTHING), SESSION).lacking == (Source.SESSION,)
    assert ask(Policies((), session=YES), SESSION).lacking == (Source.IDENTITY,)


@pytest.mark.parametrize(
    ("policies", "source"),
    [
        (Policies((YES, NO)), Source.IDENTITY),
        (Policies((YES,), boundary=NO), Source.BOUNDARY),
        (Policies((YES,), session=NO), Source.SESSION),
        (Policies((YES,), resource=policy(deny(Principal="*"))), Source.RESOURCE),
        (Policies((YES,), trust=policy(grant("*"), deny(Principal="*"))), Source.TRUST),
        (Policies((YES,), endpoint=policy(grant("*"), deny(Principal="*"))), Source.ENDPOINT),
    ],
)
def test_a_deny_in_any_policy_wins(policies: Policies, source: Source) -> None:
    decision = ask(policies)
    assert decision.outcome is EXPLICIT_DENY
    assert [(match.source, match.statement.allows) for match in decision.matches] == [(source, False)]


def test_the_policy_of_a_vpc_endpoint_limits_all_others() -> None:
    through, nothing = policy(grant("*")), policy(grant("*", Action="ecr:*"))
    assert ask(Policies((YES,), endpoint=through)).outcome is ALLOWED
    assert ask(Policies((YES,), endpoint=nothing)).lacking == (Source.ENDPOINT,)
    granted = Policies(resource=policy(grant(USER.arn)), endpoint=nothing)
    assert (ask(granted).outcome, ask(granted).lacking) == (IMPLICIT_DENY, (Source.ENDPOINT,))
    assert ask(Policies(endpoint=nothing), ROOT_USER).lacking == (Source.ENDPOINT,)


def test_the_policy_of_a_vpc_endpoint_grants_nothing() -> None:
    through = policy(grant("*"))
    assert ask(Policies(endpoint=through)).lacking == (Source.IDENTITY,)
    assert ask(Policies((YES,), endpoint=through), STRANGER).lacking == (Source.RESOURCE,)
    assert ask(Policies((YES,), resource=policy(grant(STRANGER.arn)), endpoint=through), STRANGER).outcome is ALLOWED


def test_an_account_in_the_policy_of_a_gateway_endpoint_is_its_root_user_alone() -> None:
    account = policy(grant(ACCOUNT_ARN))
    assert ask(Policies((YES,), endpoint=account), SESSION).lacking == (Source.ENDPOINT,)
    assert ask(Policies(endpoint=account), ROOT_USER).outcome is ALLOWED
    assert ask(Policies((YES,), endpoint=policy(grant(ROLE_ARN))), SESSION).outcome is ALLOWED
    assert ask(Policies((YES,), endpoint=policy(allow())), SESSION).lacking == (Source.ENDPOINT,)  # no Principal
    refused = ask(Policies((YES,), endpoint=policy(grant("*"), deny(Principal={"AWS": ACCOUNT_ARN}))), SESSION)
    assert refused.outcome is EXPLICIT_DENY


def test_a_decision_names_the_statements_that_led_to_it() -> None:
    decision = ask(Policies((NOTHING, policy(allow(Action="ecr:*"), allow(Action="s3:*"))), boundary=YES))
    found = [(match.source, match.index, match.statement.index) for match in decision.matches]
    assert found == [(Source.IDENTITY, 1, 1), (Source.BOUNDARY, 0, 0)]
    assert ask(Policies((NOTHING,))).matches == ()


def test_within_an_account_the_resource_policy_alone_is_enough() -> None:
    assert ask(Policies(resource=policy(grant(USER.arn)))).outcome is ALLOWED
    assert ask(Policies(resource=policy(grant(STRANGER.arn)))).outcome is IMPLICIT_DENY


def test_the_account_in_a_resource_policy_lets_the_identity_policies_decide() -> None:
    for name in (ACCOUNT_ARN, ACCOUNT):
        assert ask(Policies(resource=policy(grant(name)))).lacking == (Source.IDENTITY,)
        assert ask(Policies((YES,), resource=policy(grant(name)))).outcome is ALLOWED


@pytest.mark.parametrize("principal", [USER, SESSION])
def test_a_grant_to_the_user_or_the_session_is_not_limited(principal: Principal) -> None:
    policies = Policies(boundary=NOTHING, session=NOTHING, resource=policy(grant(principal.arn)))
    assert ask(policies, principal).outcome is ALLOWED


def test_a_grant_to_the_role_holds_for_its_sessions_and_is_limited() -> None:
    resource = policy(grant(ROLE_ARN))
    assert ask(Policies(resource=resource), SESSION).outcome is ALLOWED
    assert ask(Policies(resource=resource, boundary=NOTHING), SESSION).lacking == (Source.BOUNDARY,)
    assert ask(Policies(resource=resource, session=NOTHING), SESSION).lacking == (Source.SESSION,)


def test_the_path_of_a_role_counts() -> None:
    without_path = f"arn:aws:iam::{ACCOUNT}:role/Trainer"
    assert ask(Policies(resource=policy(grant(without_path))), SESSION).outcome is IMPLICIT_DENY


@pytest.mark.parametrize("everyone", ["*", {"AWS": "*"}])
def test_a_star_names_everyone_and_is_not_limited(everyone: str | dict[str, str]) -> None:
    resource = policy(allow(Principal=everyone))
    for principal in (USER, SESSION, SERVICE):
        assert ask(Policies(resource=resource, boundary=NOTHING), principal).outcome is ALLOWED


def test_between_accounts_both_sides_must_allow() -> None:
    granting = policy(grant(STRANGER.arn))
    assert ask(Policies((YES,), resource=granting), STRANGER).outcome is ALLOWED
    assert ask(Policies((YES,), resource=policy(grant(STRANGERS_ARN))), STRANGER).outcome is ALLOWED
    assert ask(Policies((YES,)), STRANGER).lacking == (Source.RESOURCE,)
    assert ask(Policies(resource=granting), STRANGER).lacking == (Source.IDENTITY,)
    assert ask(Policies((YES,), boundary=NOTHING, resource=granting), STRANGER).lacking == (Source.BOUNDARY,)


def test_a_service_needs_a_resource_policy_that_names_it() -> None:
    named = policy(allow(Principal={"Service": ["events.amazonaws.com", SERVICE.arn]}))
    assert ask(Policies(resource=named), SERVICE).outcome is ALLOWED
    assert ask(Policies(resource=policy(grant(ACCOUNT_ARN))), SERVICE).lacking == (Source.RESOURCE,)
    assert ask(Policies((YES,)), SERVICE).lacking == (Source.RESOURCE,)


def test_the_root_user_may_do_everything_in_its_account() -> None:
    assert ask(Policies(), ROOT_USER).outcome is ALLOWED
    assert ask(Policies(resource=policy(deny(Principal="*"))), ROOT_USER).outcome is EXPLICIT_DENY
    assert ask(Policies(), ROOT_USER, account=OTHER_ACCOUNT).lacking == (Source.RESOURCE,)


def test_the_root_user_cannot_assume_a_role() -> None:
    """Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html."""
    assert assume(Policies(trust=policy(grant(ACCOUNT_ARN))), ROOT_USER).outcome is IMPLICIT_DENY


def test_a_role_must_trust_who_assumes_it() -> None:
    assert assume(Policies((YES,), trust=policy(grant(STRANGER.arn)))).lacking == (Source.TRUST,)
    assert assume(Policies((YES,), trust=policy(grant(ACCOUNT_ARN)))).outcome is ALLOWED
    assert assume(Policies(trust=policy(grant(ACCOUNT_ARN)))).lacking == (Source.IDENTITY,)


def test_a_trust_policy_that_names_the_user_is_enough_within_the_account() -> None:
    assert assume(Policies(trust=policy(grant(USER.arn)))).outcome is ALLOWED
    assert assume(Policies(trust=policy(grant(STRANGER.arn))), STRANGER).lacking == (Source.IDENTITY,)


def test_a_service_assumes_a_role_that_trusts_it() -> None:
    assert assume(Policies(trust=policy(allow(Principal={"Service": SERVICE.arn}))), SERVICE).outcome is ALLOWED


def test_the_conditions_of_a_trust_policy_count() -> None:
    trust = policy(grant(USER.arn, Condition={"StringEquals": {"sts:ExternalId": "7"}}))
    assert assume(Policies(trust=trust)).outcome is IMPLICIT_DENY


def spared(names: Sequence[str], principal: Principal, boundary: bool = False) -> bool:
    resource = policy(deny(NotPrincipal={"AWS": list(names)}))
    return ask(Policies((YES,), YES if boundary else None, resource=resource), principal).outcome is Outcome.ALLOWED


def test_not_principal_denies_everyone_but_whom_it_names() -> None:
    assert spared([USER.arn, ACCOUNT_ARN], USER)
    assert spared([SESSION.arn, ROLE_ARN, ACCOUNT_ARN], SESSION)
    assert spared([ROLE_ARN, ACCOUNT_ARN], SESSION)
    assert spared([ACCOUNT], ROOT_USER)
    assert not spared([STRANGER.arn, STRANGERS_ARN], USER)


def test_not_principal_must_name_the_account_and_the_user() -> None:
    """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html."""
    assert not spared([USER.arn], USER)
    assert not spared([ACCOUNT_ARN], USER)


def test_not_principal_spares_nobody_who_has_a_permissions_boundary() -> None:
    """Source: as above, "will always deny any IAM principal that has a permissions boundary"."""
    assert not spared([USER.arn, ACCOUNT_ARN], USER, boundary=True)


def test_not_principal_spares_a_service_that_it_names() -> None:
    resource = policy(grant("*"), deny(NotPrincipal={"Service": SERVICE.arn}))
    assert ask(Policies(resource=resource), SERVICE).outcome is ALLOWED
    assert ask(Policies(resource=resource), Principal("s3.amazonaws.com")).outcome is EXPLICIT_DENY


def test_a_resource_policy_without_resource_is_about_its_own_resource() -> None:
    statement = grant(USER.arn)
    del statement["Resource"]
    assert ask(Policies(resource=policy(statement))).outcome is ALLOWED


def test_a_statement_with_principal_means_nothing_in_an_identity_policy() -> None:
    assert ask(Policies((policy(grant("*")),))).outcome is IMPLICIT_DENY


def test_a_statement_without_principal_grants_nothing_in_a_resource_policy() -> None:
    assert ask(Policies(resource=policy(allow()))).outcome is IMPLICIT_DENY
