"""Search over records: what is shown, in which order, by pages."""

from collections.abc import Mapping
from typing import Any

import pytest

from stagemaker.api.operation import described
from stagemaker.api.search import Search, Searchable
from stagemaker.api.search_members import MODEL_MEMBERS, TRAINING_JOB_MEMBERS
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import MODEL, TRAINING_JOB
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import MemoryStore
from tests.unit.plugin.fakes import SCOPE


class Environment:
    """Search over a store with a few records."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.search = Search(
            self.store,
            {
                "TrainingJob": self.searchable(TRAINING_JOB, TRAINING_JOB_MEMBERS),
                "Model": self.searchable(MODEL, MODEL_MEMBERS, "Model"),
            },
        )
        for number in range(5):
            metric = {"MetricName": "accuracy", "Value": number / 10, "Timestamp": 1.0}
            self.put(
                TRAINING_JOB,
                f"job-{number}",
                LastModifiedTime=float(number),
                ProfilingStatus="Disabled",
                FinalMetricDataList=[metric] if number else [],
                Tags=[{"Key": "number", "Value": str(number)}],
            )
        self.put(MODEL, "resnet", CreationTime=1.0, Tags=[])

    def searchable(self, kind: Kind, members: frozenset[str], shown_as: str = "") -> Searchable:
        def describe(scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
            return described(self.store.get(Ref(scope, kind, request[kind.name_member])) or {})

        return Searchable(kind, describe, members, shown_as)

    def put(self, kind: Kind, name: str, **members: Any) -> None:
        self.store.put(Ref(SCOPE, kind, name), {kind.name_member: name, **members})

    def names(self, **request: Any) -> list[str]:
        answer = self.search.search(SCOPE, {"Resource": "TrainingJob", **request})
        return [each["TrainingJob"]["TrainingJobName"] for each in answer["Results"]]

    def refusal(self, **request: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.search.search(SCOPE, {"Resource": "TrainingJob", **request})
        return caught.value


@pytest.fixture
def environment() -> Environment:
    return Environment()


def test_the_last_modified_comes_first(environment: Environment) -> None:
    assert environment.names() == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    assert environment.names(SortOrder="Ascending")[0] == "job-0"


def test_a_result_shows_the_members_of_its_type_and_tags(environment: Environment) -> None:
    answer = environment.search.search(SCOPE, {"Resource": "TrainingJob", "MaxResults": 1})
    job = answer["Results"][0]["TrainingJob"]
    assert job["Tags"] == [{"Key": "number", "Value": "4"}]
    assert "ProfilingStatus" not in job
    assert answer["TotalHits"] == {"Value": 5, "Relation": "EqualTo"}


def test_pages_in_the_order_of_a_metric(environment: Environment) -> None:
    request = {"Resource": "TrainingJob", "SortBy": "Metrics.accuracy", "SortOrder": "Ascending", "MaxResults": 2}
    names: list[str] = []
    token: dict[str, Any] = {}
    while True:
        answer = environment.search.search(SCOPE, {**request, **token})
        names += [each["TrainingJob"]["TrainingJobName"] for each in answer["Results"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert names == [f"job-{number}" for number in range(5)]


def test_filters_and_visibility(environment: Environment) -> None:
    wanted = {"Filters": [{"Name": "Metrics.accuracy", "Operator": "GreaterThan", "Value": "0.15"}]}
    assert environment.names(SearchExpression=wanted) == ["job-4", "job-3", "job-2"]
    visible = [{"Key": "Tags.number", "Value": "3"}]
    assert environment.names(SearchExpression=wanted, VisibilityConditions=visible) == ["job-3"]
    assert environment.refusal(VisibilityConditions=[{"Key": "number", "Value": "3"}]).code == "ValidationException"


def test_a_model_is_shown_within_its_card(environment: Environment) -> None:
    answer = environment.search.search(SCOPE, {"Resource": "Model"})
    assert answer["Results"] == [{"Model": {"Model": {"ModelName": "resnet", "CreationTime": 1.0}}}]


def test_what_is_not_ours_is_refused_by_its_name(environment: Environment) -> None:
    for request in ({"Resource": "Pipeline"}, {"CrossAccountFilterOption": "CrossAccount"}):
        assert environment.refusal(**request).status == 501


def test_a_name_that_no_job_can_have(environment: Environment) -> None:
    assert environment.refusal(SortBy="Accuracy").message == "Unknown property name: Accuracy"


def test_suggestions(environment: Environment) -> None:
    query = {"PropertyNameQuery": {"PropertyNameHint": "metrics"}}
    answer = environment.search.get_search_suggestions(SCOPE, {"Resource": "TrainingJob", "SuggestionQuery": query})
    assert answer == {"PropertyNameSuggestions": [{"PropertyName": "Metrics.accuracy"}]}
