import pytest

from infra import ownership
from infra.ownership import NotOurs
from infra.resources.resource import Resource, State
from tests.unit.infra.fakes import FakeResource

OURS = [{"Key": "stagemaker:project", "Value": "dogs"}, {"Key": "owner", "Value": "me"}]


class Foreign(FakeResource):
    """A resource of somebody else's."""

    def read(self) -> State | None:
        """Refused."""
        raise NotOurs("The role dogs is there already.", "Choose another.")


def test_what_has_the_projects_tag_is_ours() -> None:
    ownership.check("Role of training", "dogs-training", OURS[:1], OURS)


@pytest.mark.parametrize(
    ("tags", "words"),
    [([], "has no tag stagemaker:project"), ([{"Key": "stagemaker:project", "Value": "cats"}], "of the project cats")],
)
def test_what_has_another_tag_or_none_is_somebody_else_s(tags: list[dict[str, str]], words: str) -> None:
    with pytest.raises(NotOurs, match="The role of training dogs-training is there already") as caught:
        ownership.check("Role of training", "dogs-training", tags, OURS)
    assert words in caught.value.reason


def test_what_is_in_somebody_else_s_is_left_alone() -> None:
    said = list[str]()
    there = {"bucket": 1, "photos": 1}
    mine: list[Resource] = [FakeResource("Bucket", there, []), FakeResource("Photos", there, [])]
    assert ownership.ours(mine, said.append) == mine
    assert ownership.ours([Foreign("Bucket", there, []), mine[1]], said.append) == []
    assert said == ["Left alone: The role dogs is there already."]
