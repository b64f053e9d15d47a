"""Every List operation of SageMaker that is ours takes every member of AWS's newest model: filters, orders and pages.

The stage is composed as LocalStack runs it, over records that are put into its store.
"""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ServiceModel, StructureShape

from stagemaker.adapters.service_models import FOLDER
from stagemaker.app import App
from stagemaker.core.kinds import KINDS
from stagemaker.core.refs import SAGEMAKER, Kind, Ref, Scope
from stagemaker.runtime.fake import FakeRuntime
from stagemaker.settings import Settings

SCOPE = Scope("123456789012", "eu-west-1")
NAMES = ("alpha", "Beta", "gamma")  # made in this order, one a second; changed in the other order
MODEL = ServiceModel(
    json.loads(gzip.decompress((FOLDER / "sagemaker" / "2017-07-24" / "service-2.json.gz").read_bytes())), "sagemaker"
)
BY_OPERATION: dict[str, Kind] = {f"List{kind.noun}s": kind for kind in KINDS if kind.service == SAGEMAKER}
TIMES = ("CreationTime", "LastModifiedTime")
PAGES = {"SortBy", "SortOrder", "NextToken", "MaxResults"}
OF_NO_RECORD = {  # of what no record of ours has: nothing is found
    "WarmPoolStatusEquals",
    "TrainingPlanArnEquals",
    "DefaultCodeRepositoryContains",
    "AdditionalCodeRepositoryEquals",
    "NotebookInstanceLifecycleConfigNameContains",
}
DEFAULTS = {  # SortBy and SortOrder, where AWS's documents name one
    "ListTrainingJobs": ("CreationTime", "Ascending"),
    "ListProcessingJobs": ("CreationTime", "Ascending"),
    "ListTransformJobs": ("CreationTime", "Descending"),
    "ListHyperParameterTuningJobs": ("Name", "Ascending"),
    "ListModels": ("CreationTime", "Descending"),
    "ListEndpointConfigs": ("CreationTime", "Descending"),
    "ListEndpoints": ("CreationTime", "Descending"),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """Closed: nothing of it runs."""
    folder = tmp_path_factory.mktemp("listings")
    settings = Settings(process=None, docker=None, work_dir=Path(folder, "work"), gateway_url="http://127.0.0.1:1")
    made = App(settings, lambda _, supervisor: FakeRuntime({}, supervisor))
    made.close()
    for operation, kind in BY_OPERATION.items():
        statuses = _statuses(operation)
        for number, name in enumerate(NAMES):
            ref = Ref(SCOPE, kind, name)
            times = {"CreationTime": 100.0 + number, "LastModifiedTime": 200.0 - number}
            status = {f"{kind.noun}Status": statuses[number]} if statuses else {}
            own = {"EndpointConfigName": "one", "Stagemaker": {"Targets": {}}} if operation == "ListEndpoints" else {}
            made.store.put(ref, {kind.name_member: name, kind.arn_member: ref.arn, **times, **status, **own})
    return made


def _members(operation: str) -> dict[str, Any]:
    shape = MODEL.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return dict(shape.members)


def _choices(operation: str, member: str) -> list[str]:
    found = _members(operation).get(member)
    return list(found.metadata["enum"]) if found else []


def _statuses(operation: str) -> list[str]:
    """Of the three records; in the order of their names they are not in order."""
    first, second, third, *_ = [*sorted(_choices(operation, "StatusEquals")), "", "", ""]
    return [second, third, first] if first else []


def listed(app: App, operation: str, **request: Any) -> tuple[list[str], str | None]:
    """The names on a page, and the token of the next."""
    kind = BY_OPERATION[operation]
    answer = app.services["sagemaker"].operations[operation].call(SCOPE, request)
    (items,) = (value for value in answer.values() if isinstance(value, list))
    return [item[kind.name_member] for item in items], answer.get("NextToken")


def names(app: App, operation: str, **request: Any) -> list[str]:
    found, token = listed(app, operation, **request)
    assert token is None
    return found


def test_every_list_of_a_kind_is_here(app: App) -> None:
    lists = {name for name in app.services["sagemaker"].operations if name.startswith("List")}
    assert lists - BY_OPERATION.keys() == {"ListTags", "ListTrainingJobsForHyperParameterTuningJob"}
    assert BY_OPERATION.keys() <= lists


@pytest.mark.parametrize("operation", BY_OPERATION)
def test_every_member_of_the_model_is_known(operation: str) -> None:
    edges = {f"{time}{edge}" for time in TIMES for edge in ("After", "Before")}
    assert _members(operation).keys() <= {*PAGES, *edges, *OF_NO_RECORD, "NameContains", "StatusEquals"}


@pytest.mark.parametrize("operation", BY_OPERATION)
def test_filters(app: App, operation: str) -> None:
    members, cases = _members(operation), dict[str, list[tuple[Any, set[str]]]]()
    cases["NameContains"] = [("et", {"Beta"}), ("A", set(NAMES)), ("x", set())]
    cases["CreationTimeAfter"] = [(101.0, {"gamma"}), (99.0, set(NAMES))]
    cases["CreationTimeBefore"] = [(101.0, {"alpha"}), (100.0, set())]
    cases["LastModifiedTimeAfter"] = [(199.0, {"alpha"})]
    cases["LastModifiedTimeBefore"] = [(199.0, {"gamma"})]
    cases["StatusEquals"] = [(status, {name}) for status, name in zip(_statuses(operation), NAMES, strict=False)]
    for member in OF_NO_RECORD:
        cases[member] = [("Available", set())]
    for member in cases.keys() & members.keys():
        for value, expected in cases[member]:
            assert set(names(app, operation, **{member: value})) == expected, (member, value)


@pytest.mark.parametrize("operation", BY_OPERATION)
def test_orders_and_pages(app: App, operation: str) -> None:
    statuses = _statuses(operation)
    keys: dict[str, dict[str, Any]] = {
        "Name": {name: name for name in NAMES},
        "CreationTime": {name: number for number, name in enumerate(NAMES)},
        "LastModifiedTime": {name: -number for number, name in enumerate(NAMES)},
        "Status": dict(zip(NAMES, statuses, strict=False)),
    }
    orders = [*_choices(operation, "SortOrder")]
    assert orders == ["Ascending", "Descending"]
    for sort_by, order in itertools.product(_choices(operation, "SortBy"), orders):
        expected = sorted(NAMES, key=keys[sort_by].__getitem__, reverse=order == "Descending")
        request: dict[str, Any] = {"SortBy": sort_by, "SortOrder": order}
        assert names(app, operation, **request) == expected
        found: list[str] = []
        for last in (False, False, True):
            page, token = listed(app, operation, **request, MaxResults=1)
            assert (token is None) is last
            found += page
            request["NextToken"] = token
        assert found == expected


@pytest.mark.parametrize("operation", DEFAULTS)
def test_the_default_order_is_that_of_awss_documents(app: App, operation: str) -> None:
    sort_by, order = DEFAULTS[operation]
    assert names(app, operation) == names(app, operation, SortBy=sort_by, SortOrder=order)
