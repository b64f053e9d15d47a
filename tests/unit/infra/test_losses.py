"""The question before data is lost, and the proof that nothing is left."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from infra import losses, remains
from infra.clients import Clients
from infra.errors import StepFailed
from infra.terminal import Terminal
from tests.unit.infra.fakes import FakeClient, FakeResource, fake_clients, missing
from tests.unit.infra.photos import quiet

ARN = "arn:aws:s3:::dogs-123456789012-us-east-1"


def bucket(is_there: bool = True) -> FakeResource:
    one = FakeResource("Bucket", {"bucket": 1} if is_there else {}, [])
    one.holds = "its photos"
    return one


class Answering(Console):
    """Gives this answer to every question."""

    def __init__(self, answer: str) -> None:
        super().__init__(file=io.StringIO(), width=200)
        self.answer = answer

    def input(self, *_: Any, **__: Any) -> str:
        """The answer."""
        return self.answer


class At(Terminal):
    """A terminal with a person, who answers so."""

    def __init__(self, answer: str) -> None:
        super().__init__(Answering(answer))

    @property
    def can_ask(self) -> bool:
        """They sit at it."""
        return True


def ask(terminal: Terminal, *, agreed: bool = False, is_there: bool = True) -> None:
    losses.ask([bucket(is_there), FakeResource("Role", {"role": 1}, [])], terminal, agreed=agreed, how="YES=1")


def test_without_a_terminal_it_is_refused_with_what_to_type() -> None:
    with pytest.raises(StepFailed) as caught:
        ask(quiet())
    assert caught.value.reason.startswith("This would delete for good: bucket bucket with its photos.")
    assert caught.value.next_step == "Say so: YES=1"


def test_nothing_is_asked_when_it_is_agreed_or_nothing_is_there() -> None:
    ask(quiet(), agreed=True)
    ask(quiet(), is_there=False)


def test_only_a_yes_is_a_yes() -> None:
    ask(At("Yes "))
    for answer in ("", "y", "no"):
        with pytest.raises(StepFailed, match="Nothing was deleted"):
            ask(At(answer))


def tagged(answers: Any) -> Clients:
    return fake_clients(tagging=FakeClient({"get_resources": answers}))


def page(*arns: str) -> dict[str, Any]:
    return {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in arns]}


def test_nothing_is_left() -> None:
    said: list[str] = []
    remains.check(tagged(page()), "dogs", said.append)
    assert said == ["Nothing is left with the tag stagemaker:project=dogs."]


def test_what_is_left_is_named() -> None:
    with pytest.raises(StepFailed) as caught:
        remains.check(tagged(page(ARN)), "dogs", lambda _: None)
    assert caught.value.evidence == (ARN,)


@pytest.mark.parametrize(("ended", "left"), [(["i-1"], []), ([], ["i-1"])])
def test_an_instance_that_has_ended_is_not_left(ended: list[str], left: list[str]) -> None:
    arn = "arn:aws:ec2:us-east-1:123456789012:instance/"
    found = {"Reservations": [{"Instances": [{"InstanceId": one} for one in ended]}]}
    clients = replace(tagged(page(f"{arn}i-1")), ec2=FakeClient({"describe_instances": found}))
    assert remains.of_project(clients, "dogs") == [f"{arn}{one}" for one in left]


def test_what_aws_still_lists_is_waited_for() -> None:
    said: list[str] = []
    remains.check(replace(tagged([page(ARN), page(ARN), page()]), target="aws"), "dogs", said.append)
    assert said[0].startswith("Nothing is left")


def test_without_the_right_to_list_nothing_is_claimed() -> None:
    said: list[str] = []
    remains.check(tagged(missing("AccessDeniedException")), "dogs", said.append)
    assert said[0].startswith("Not proved")
