from typing import Any

from infra.resources.role import IamRole
from infra.roles import POLICY_NAME, Role, Statement
from tests.unit.infra.fakes import FakeClient, missing

READ = {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::photos/*"}
STATEMENT = Statement("Read", ("s3:GetObject",), ("arn:aws:s3:::photos/*",), "it reads photos")
ROLE = Role("trainer", "Trains", "sagemaker.amazonaws.com", (STATEMENT,))


def role(
    policy: Any = ROLE.policy, trust: Any = ROLE.trust, inline: tuple[str, ...] = (), attached: tuple[str, ...] = ()
) -> tuple[FakeClient, IamRole]:
    client = FakeClient(
        {
            "get_role": {"Role": {"AssumeRolePolicyDocument": trust}},
            "get_role_policy": {"PolicyDocument": policy} if policy else missing("NoSuchEntity"),
            "list_role_policies": {"PolicyNames": [POLICY_NAME, *inline]},
            "list_attached_role_policies": {"AttachedPolicies": [{"PolicyArn": arn} for arn in attached]},
        }
    )
    return client, IamRole(client, ROLE, "Role of training")


def changed(client: FakeClient, one: IamRole) -> tuple[list[str], list[str]]:
    """The changes in words, and the operations that made them."""
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    client.calls.clear()
    one.update(state, changes)
    return [str(change) for change in changes], client.names()


def test_none() -> None:
    assert IamRole(FakeClient({"get_role": missing("NoSuchEntity")}), ROLE, "Role").read() is None


def test_as_wanted() -> None:
    assert changed(*role()) == ([], [])


def test_a_statement_that_differs() -> None:
    other = {**ROLE.policy, "Statement": [{**READ, "Resource": "*"}]}
    assert changed(*role(policy=other)) == (
        ["statement Read.Resource: * -> arn:aws:s3:::photos/*"],
        ["put_role_policy"],
    )


def test_a_statement_too_many_in_a_form_that_aws_takes_too() -> None:
    other = {**ROLE.policy, "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    words, calls = changed(*role(policy=other))
    assert [word.split(":")[0] for word in words] == ["statement Read", "statement number 0"]
    assert calls == ["put_role_policy"]


def test_another_version_of_the_policys_language() -> None:
    words, calls = changed(*role(policy={**ROLE.policy, "Version": "2008-10-17"}))
    assert words == ["policy.Version: 2008-10-17 -> 2012-10-17"]
    assert calls == ["put_role_policy"]


def test_a_missing_policy() -> None:
    words, calls = changed(*role(policy=None))
    assert words[0].startswith("statement Read: none -> ")
    assert calls == ["put_role_policy"]


def test_another_trust() -> None:
    words, calls = changed(*role(trust={"Version": "2012-10-17", "Statement": []}))
    assert words[0].startswith("trust.Statement: [] -> ")
    assert calls == ["update_assume_role_policy"]


def test_policies_of_somebody_else_are_taken_off() -> None:
    assert changed(*role(inline=("mine",), attached=("arn:admin",))) == (
        ['other: ["mine"] -> []', 'attached: ["arn:admin"] -> []'],
        ["delete_role_policy", "detach_role_policy"],
    )


def test_it_is_deleted_after_its_policies() -> None:
    client, one = role(attached=("arn:admin",))
    one.delete()
    assert client.names()[-3:] == ["delete_role_policy", "detach_role_policy", "delete_role"]
