"""Whose value of a variable a container gets."""

from stagemaker.core.credentials import Credentials
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.variables import replaced, run_as, with_role, without_role

ROLE = {"AWS_ACCESS_KEY_ID": "r", "AWS_SECRET_ACCESS_KEY": "r", "AWS_SESSION_TOKEN": "r", "AWS_REGION": "r"}


def test_the_role_fills_what_the_caller_leaves_open() -> None:
    assert with_role({"A": "1"}, ROLE) == ({**ROLE, "A": "1"}, ())
    assert with_role({"AWS_REGION": "r"}, ROLE) == (ROLE, ())


def test_the_caller_s_credentials_are_taken_whole() -> None:
    mine = {"AWS_ACCESS_KEY_ID": "m", "AWS_SECRET_ACCESS_KEY": "m"}
    left = "not taken from the role, since Environment sets it: "
    names = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN"
    assert with_role(mine, ROLE) == ({**mine, "AWS_REGION": "r"}, (left + names,))
    everything = {**mine, "AWS_REGION": "m", "AWS_SESSION_TOKEN": "m"}
    assert with_role(everything, ROLE) == (everything, (f"{left}AWS_ACCESS_KEY_ID, AWS_REGION{names[17:]}",))


def test_a_secret_without_its_access_key_is_none() -> None:
    notes = ("not taken from Environment, since AWS_ACCESS_KEY_ID is not there: AWS_SECRET_ACCESS_KEY",)
    assert with_role({"AWS_SECRET_ACCESS_KEY": "m"}, ROLE) == (ROLE, notes)


def test_what_the_service_sets_itself() -> None:
    assert replaced({"A": "1", "B": "2"}, {"A": "1", "C": "3"}) == ()
    sentence = "not taken from Environment, since the service sets it: A, B"
    assert replaced({"B": "1", "A": "1"}, {"A": "2", "B": "2"}) == (sentence,)


def renew() -> Credentials:
    return Credentials("arn", "key", "secret", "token", 0)


def test_a_spec_runs_as_a_role() -> None:
    spec = run_as(ContainerSpec("job", "x", (), None, {"A": "1"}, notes=("first",)), ROLE, renew)
    assert (spec.environment, spec.notes, spec.credentials) == ({**ROLE, "A": "1"}, ("first",), renew)


def test_a_spec_with_the_caller_s_credentials_gets_no_others() -> None:
    mine = {"AWS_ACCESS_KEY_ID": "m", "AWS_SECRET_ACCESS_KEY": "m"}
    spec = run_as(ContainerSpec("job", "x", (), None, mine), ROLE, renew)
    assert (spec.environment["AWS_ACCESS_KEY_ID"], spec.credentials) == ("m", None)


def test_the_path_of_the_endpoint_takes_the_place_of_the_role_s_credentials() -> None:
    uri = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    assert without_role({**ROLE, "A": "1"}, "/v2") == ({"AWS_REGION": "r", "A": "1", uri: "/v2"}, ())
    assert without_role(ROLE, None) == ({"AWS_REGION": "r"}, ())
    notes = (f"not taken from Environment, since the service sets it: {uri}",)
    assert without_role({uri: "mine"}, "/v2") == ({uri: "/v2"}, notes)
