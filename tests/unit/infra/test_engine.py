"""Order, plan, apply and destroy, over resources that are numbers in a dict."""

from collections.abc import Callable, Sequence
from threading import Barrier

import pytest
from botocore.exceptions import ClientError

from infra import engine, patience
from infra.engine import Plan, Step
from infra.errors import StepFailed
from infra.patience import once_seen
from infra.resources.resource import Change, Resource
from tests.unit.infra.fakes import FakeResource
from tests.unit.infra.photos import quiet, text_of

Numbers = dict[str, int]


def three(there: Numbers, journal: list[str], wanted: int = 1, fixed: bool = False) -> list[FakeResource]:
    """A chain, given in the wrong order: C needs B, and B needs A."""
    return [
        FakeResource("C", there, journal, "B", wanted=wanted, fixed=fixed),
        FakeResource("A", there, journal),
        FakeResource("B", there, journal, "A", "Absent"),
    ]


def titles(resources: Sequence[Resource]) -> list[str]:
    return [one.title for one in resources]


def test_each_comes_after_what_it_depends_on_else_as_given() -> None:
    assert titles(engine.order(three({}, []))) == ["A", "B", "C"]
    assert titles(engine.order(FakeResource(name, {}, []) for name in "DAC")) == ["D", "A", "C"]


def test_several_resources_may_have_one_title() -> None:
    journal: list[str] = []
    jobs = [FakeResource("Job", {}, journal), FakeResource("Job", {}, journal)]
    assert titles(engine.order([FakeResource("Model", {}, journal, "Job"), *jobs])) == ["Job", "Job", "Model"]


def test_a_circle_has_no_order() -> None:
    with pytest.raises(ValueError, match="depend on each other: A, B"):
        engine.order([FakeResource("A", {}, [], "B"), FakeResource("B", {}, [], "A"), FakeResource("C", {}, [])])


def test_what_one_resource_needs() -> None:
    resources = [*three({}, []), FakeResource("D", {}, [], "C")]
    assert titles(engine.needed_for(["B"], resources)) == ["A", "B"]


def test_a_plan_says_what_would_be_created_and_after_what_and_changes_nothing() -> None:
    there: Numbers = {}
    journal: list[str] = []
    assert engine.plan(three(there, journal)).steps == (
        Step("A", "a", "create"),
        Step("B", "b", "create", after=("A",)),
        Step("C", "c", "create", after=("B",)),
    )
    assert (there, journal) == ({}, [])


@pytest.mark.parametrize(("fixed", "action"), [(False, "update"), (True, "replace")])
def test_a_plan_says_what_differs(fixed: bool, action: engine.Action) -> None:
    plan = engine.plan(three({"a": 1, "b": 1, "c": 7}, [], fixed=fixed))
    change = Change("number", 7, 1, replaces=fixed)
    assert plan.steps[2] == Step("C", "c", action, (change,))
    assert [step.action for step in plan.steps[:2]] == ["unchanged", "unchanged"]


def test_a_plan_for_the_reader() -> None:
    lines = engine.plan(three({"a": 1, "c": 7}, [])).lines()
    assert [line.strip() for line in lines] == [
        "unchanged  A: a",
        "create     B: b",
        "update     C: c (after: B)",
        "number: 7 -> 1",
        "1 to create, 1 to update, 1 unchanged.",
    ]
    assert Plan((Step("A", "a", "unchanged"),)).lines()[-1] == "Nothing would change."
    assert Plan(()).lines() == ["Nothing would change."]
    assert Plan((Step("A", "a", "delete"),)).lines()[-1] == "1 to delete."


@pytest.mark.parametrize("there", [{}, {"a": 1}, {"a": 5, "b": 1}, {"a": 1, "b": 1, "c": 7}])
@pytest.mark.parametrize("fixed", [False, True])
def test_apply_does_what_the_plan_says_and_then_nothing(there: Numbers, fixed: bool) -> None:
    there = dict(there)
    plan = engine.plan(three(there, [], fixed=fixed))
    assert engine.apply(three(there, [], fixed=fixed), quiet()) == [step.action for step in plan.steps]
    assert there == {"a": 1, "b": 1, "c": 1}
    journal: list[str] = []
    terminal = quiet()
    assert engine.apply(three(there, journal), terminal) == ["unchanged"] * 3
    assert journal == []
    assert "unchanged: c" in text_of(terminal)


def test_what_is_not_wanted_is_deleted_last_and_in_reverse() -> None:
    there: Numbers = {"a": 1, "b": 1, "c": 1, "d": 1}
    journal: list[str] = []
    resources = [*three(there, journal), FakeResource("D", there, journal), FakeResource("E", there, journal)]
    for one in resources:
        one.is_wanted = one.title == "A"
    plan = engine.plan(resources)
    assert [line.strip() for line in plan.lines()] == [
        "unchanged  A: a",
        "delete     D: d",
        "delete     C: c",
        "delete     B: b",
        "3 to delete, 1 unchanged.",
    ]
    assert engine.apply(resources, quiet()) == [step.action for step in plan.steps]
    assert journal == ["delete d", "delete c", "delete b"]
    assert there == {"a": 1}
    assert engine.apply_one(resources[-1]) == ("unchanged", "")


def test_apply_tells_each_step_with_its_remark() -> None:
    terminal = quiet()
    engine.apply(three({}, []), terminal)
    assert [step.title for step in terminal.steps] == ["A", "B", "C"]
    assert terminal.steps[0].result == "created: a (made)"


def test_a_replaced_resource_is_deleted_first() -> None:
    journal: list[str] = []
    engine.apply(three({"a": 1, "b": 1, "c": 7}, journal, fixed=True), quiet())
    assert journal == ["delete c", "create c"]


def test_an_apply_that_failed_goes_on_where_it_stopped() -> None:
    class Broken(FakeResource):
        def create(self) -> str:
            raise StepFailed("It broke.", "Mend it.")

    there: Numbers = {}
    journal: list[str] = []
    a, b, c = (
        FakeResource("A", there, journal),
        Broken("B", there, journal, "A"),
        FakeResource("C", there, journal, "B"),
    )
    terminal = quiet()
    with pytest.raises(StepFailed):
        engine.apply([a, b, c], terminal)
    assert journal == ["create a"]
    assert engine.titles_left([c, b, a], {step.title for step in terminal.steps}) == ["B", "C"]
    engine.apply([a, FakeResource("B", there, journal, "A"), c], quiet())
    assert journal == ["create a", "create b", "create c"]


def test_what_does_not_depend_on_each_other_is_made_at_once() -> None:
    together = Barrier(2, timeout=60)

    class Meeting(FakeResource):
        def create(self) -> str:
            together.wait()
            return super().create()

    there: Numbers = {}
    resources = [FakeResource("A", there, []), *(Meeting(name, there, [], "A") for name in "BC")]
    terminal = quiet()
    assert engine.apply(resources, terminal) == ["create"] * 3
    assert not together.broken
    assert "B: created: b (made)" in text_of(terminal)
    assert "C: created: c (made)" in text_of(terminal)


def test_two_that_are_one_resource_come_one_after_the_other() -> None:
    there: Numbers = {}
    journal: list[str] = []
    first, second = FakeResource("Job (a)", there, journal), FakeResource("Job (b)", there, journal)
    first.name = second.name = "job"
    assert engine.apply([first, second], quiet()) == ["create", "unchanged"]
    assert journal == ["create job"]


def test_all_failures_are_raised() -> None:
    together = Barrier(2, timeout=60)

    class Broken(FakeResource):
        def create(self) -> str:
            together.wait()
            raise StepFailed(f"{self.title} broke.", "Mend it.")

    with pytest.raises(ExceptionGroup) as caught:
        engine.apply([Broken("A", {}, []), Broken("B", {}, []), FakeResource("C", {}, [], "A")], quiet())
    assert sorted(str(error) for error in caught.value.exceptions) == ["A broke.", "B broke."]


def refusal(code: str = "ResourceConflictException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "another is at work"}}, "Operation")


class Contested(FakeResource):
    """Whose first calls are refused, after another deployment did `meanwhile`."""

    def __init__(self, there: Numbers, journal: list[str], meanwhile: Callable[[Numbers], object], refused: int = 1):
        super().__init__("A", there, journal)
        self._meanwhile, self._refused = meanwhile, refused

    def _write(self, what: str) -> None:
        self._give_way(what)
        super()._write(what)

    def delete(self) -> None:
        self._give_way("delete")
        super().delete()

    def _give_way(self, what: str) -> None:
        if self._refused:
            self._refused -= 1
            self._meanwhile(self.there)
            self.journal.append(f"refused {what}")
            raise refusal()


def test_what_another_deployment_made_meanwhile_is_taken_as_made() -> None:
    journal: list[str] = []
    one = Contested({}, journal, lambda there: there.update(a=1))
    assert engine.apply_one(one) == ("unchanged", "")
    assert journal == ["refused create"]


def test_what_another_deployment_has_begun_is_brought_to_its_end() -> None:
    journal: list[str] = []
    one = Contested({}, journal, lambda there: there.update(a=5))
    assert engine.apply_one(one)[0] == "update"
    assert journal == ["refused create", "update a"]


def test_what_another_changed_while_it_is_updated_is_read_again() -> None:
    journal: list[str] = []
    one = Contested({"a": 7}, journal, lambda there: there.update(a=1))
    assert engine.apply_one(one) == ("unchanged", "")


@pytest.mark.parametrize("there", [{}, {"a": 7}])
def test_a_refusal_that_nobody_else_has_caused_is_an_error(there: Numbers) -> None:
    with pytest.raises(ClientError):
        engine.apply_one(Contested(there, [], lambda _: None))


def test_two_that_change_one_resource_without_end_are_an_error() -> None:
    def count(there: Numbers) -> None:
        there["a"] = there.get("a", 7) + 1

    with pytest.raises(ClientError):
        engine.apply_one(Contested({}, [], count, refused=100))


def test_what_another_deleted_meanwhile_is_deleted() -> None:
    assert engine.destroy([Contested({"a": 1}, [], lambda there: there.clear())], lambda _: None) == 1


class Failing(FakeResource):
    """Its making fails; `spoil` is done just before."""

    def __init__(self, there: dict[str, int], spoil: Callable[[dict[str, int]], object], *needed: str) -> None:
        super().__init__("B", there, [], *needed)
        self.spoil = spoil

    def create(self) -> str:
        """Fail."""
        self.spoil(self.there)
        raise ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no bucket"}}, "PutObject")


def test_what_fails_since_what_it_needs_was_deleted_meanwhile_says_so() -> None:
    there: Numbers = {}
    with pytest.raises(StepFailed, match="What it needs was deleted meanwhile: a a") as caught:
        engine.apply([FakeResource("A", there, []), Failing(there, dict.clear, "A")], quiet())
    assert "no bucket" in caught.value.reason
    assert "Does a destruction of the project run?" in caught.value.next_step


class Waiting(Failing):
    """As Failing, for a call that AWS refuses until it finds what was just made."""

    def create(self) -> str:
        """Wait."""
        return str(once_seen(super().create))


def test_what_waits_for_what_was_deleted_meanwhile_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    monkeypatch.setattr(patience, "SEEN_LIMIT_S", 3600.0)
    there: Numbers = {}
    with pytest.raises(StepFailed, match="What it needs was deleted meanwhile: a a"):
        engine.apply([FakeResource("A", there, []), Waiting(there, dict.clear, "A")], quiet())


@pytest.mark.parametrize("spoil", [lambda _: None, dict.clear])
def test_what_fails_by_itself_says_what_aws_says(spoil: Callable[[dict[str, int]], object]) -> None:
    """Whatever becomes of what it does not need."""
    there: Numbers = {}
    needed = ("A",) if spoil is not dict.clear else ()
    with pytest.raises(ClientError, match="no bucket"):
        engine.apply([FakeResource("A", there, []), Failing(there, spoil, *needed)], quiet())


def test_what_aws_holds_on_to_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HELD_PAUSE_S", 0.0)
    journal: list[str] = []
    assert engine.destroy([Contested({"a": 1}, journal, lambda _: None, refused=3)], lambda _: None) == 1
    assert journal == ["refused delete"] * 3 + ["delete a"]


def test_what_aws_holds_on_to_for_too_long_is_an_error_and_all_else_is_deleted() -> None:
    there = {"a": 1, "b": 1, "c": 1}
    held = Contested(there, [], lambda _: None, refused=100)
    held.depends_on, held.held_limit_s = ("B",), -1.0
    with pytest.raises(ClientError, match="another is at work"):
        engine.destroy([FakeResource("B", there, []), held, FakeResource("C", there, [])], lambda _: None)
    assert there == {"a": 1, "b": 1}


def test_destroy_is_the_reverse_of_apply() -> None:
    there: Numbers = {}
    journal: list[str] = []
    engine.apply(three(there, journal), quiet())
    made = [line.removeprefix("create ") for line in journal]
    journal.clear()
    said: list[str] = []
    assert engine.destroy(three(there, journal), said.append) == 3
    assert journal == [f"delete {name}" for name in reversed(made)]
    assert said == ["deleted: c c", "deleted: b b", "deleted: a a"]
    assert there == {}
    assert engine.destroy(three(there, journal), said.append) == 0


def test_the_plan_of_a_destruction_names_what_is_there_last_first() -> None:
    there = {"a": 1, "c": 7}
    plan = engine.plan_destroy(three(there, []))
    assert plan.steps == (Step("C", "c", "delete"), Step("A", "a", "delete"))
    assert there == {"a": 1, "c": 7}
