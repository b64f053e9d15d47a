"""The contract of a Store, over every implementation: each sentence of its docstrings is a test."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stagemaker.core import store as module
from stagemaker.core.kinds import MODEL, REPOSITORY, TRAINING_JOB
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import Change, MemoryStore, Store

SCOPE, OTHER = Scope("123456789012", "eu-west-1"), Scope("123456789012", "us-east-1")
LONG_S = 10


def ref(name: str, scope: Scope = SCOPE, kind: Kind = MODEL) -> Ref:
    return Ref(scope, kind, name)


@pytest.fixture(params=[MemoryStore])
def store(request: pytest.FixtureRequest) -> Store:
    make: Callable[[], Store] = request.param
    return make()


def test_a_record_is_there_from_its_put_to_its_delete(store: Store) -> None:
    assert store.get(ref("a")) is None
    assert store.put(ref("a"), {"x": 1}) == {"x": 1}
    assert store.get(ref("a")) == {"x": 1}
    store.delete(ref("a"))
    store.delete(ref("a"))
    assert store.get(ref("a")) is None
    assert (store.all(SCOPE, MODEL), store.everywhere(MODEL)) == ([], [])


def test_a_second_put_replaces_the_whole_record(store: Store) -> None:
    first = store.put(ref("a"), {"x": 1, "y": 2})
    assert store.put(ref("a"), {"x": 3}) == {"x": 3}
    assert store.get(ref("a")) == {"x": 3}
    assert first == {"x": 1, "y": 2}


def test_update_changes_some_members_of_a_record_that_is_there(store: Store) -> None:
    first = store.put(ref("a"), {"x": 1, "y": {"z": 2}})
    assert store.update(ref("a"), x=3) == {"x": 3, "y": {"z": 2}}
    assert store.get(ref("a")) == {"x": 3, "y": {"z": 2}}
    assert first["x"] == 1
    with pytest.raises(KeyError):
        store.update(ref("b"), x=1)
    assert store.get(ref("b")) is None


def test_scopes_kinds_and_names_are_apart(store: Store) -> None:
    places = [ref("a"), ref("b"), ref("a", OTHER), ref("a", kind=TRAINING_JOB)]
    for number, place in enumerate(places):
        store.put(place, {"number": number})
    store.delete(ref("b"))
    assert [store.get(place) for place in places] == [{"number": 0}, None, {"number": 2}, {"number": 3}]
    assert store.all(SCOPE, MODEL) == [{"number": 0}]


def test_all_and_everywhere_are_in_the_order_of_creation(store: Store) -> None:
    for name in "bca":
        store.put(ref(name), {"name": name})
    store.put(ref("z", OTHER), {"name": "z"})
    store.update(ref("b"), more=True)
    store.delete(ref("c"))
    store.put(ref("c"), {"name": "c"})
    assert [record["name"] for record in store.all(SCOPE, MODEL)] == ["b", "a", "c"]
    found = store.everywhere(MODEL)
    assert {place.scope for place, _ in found} == {SCOPE, OTHER}
    assert [record["name"] for place, record in found if place.scope == SCOPE] == ["b", "a", "c"]
    assert (ref("z", OTHER), {"name": "z"}) in found


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, 1.5, "", "å", [], [[1], {"a": None}], {}, {"a": {"b": [1.0]}}, 10**30]
)
def test_json_comes_back_as_it_was(store: Store, value: Any) -> None:
    store.put(ref("a"), {"value": value})
    record = store.get(ref("a"))
    assert record is not None
    assert record["value"] == value
    assert type(record["value"]) is type(value)


def test_tuples_become_lists(store: Store) -> None:
    assert store.put(ref("a"), {"value": (1, ("b",))}) == {"value": [1, ["b"]]}


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"a": {"b": [1, {"c"}]}}, r"a\.b\[1\] is \{'c'\} \(set\)"),
        ({"a": b"x"}, r"a is b'x' \(bytes\)"),
        ({"a": float("nan")}, r"a is nan \(float\)"),
        ({"a": [float("inf")]}, r"a\[0\] is inf \(float\)"),
        ({"a": {1: 2}}, r"a is \{1: 2\} \(dict\)"),
        ({"a": object}, r"a is <class 'object'> \(type\)"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_path(store: Store, record: dict[str, Any], told: str) -> None:
    store.put(ref("a"), {"old": True})
    sentence = f"^A record holds only JSON, but {told}.$"
    with pytest.raises(TypeError, match=sentence):
        store.put(ref("a"), record)
    with pytest.raises(TypeError, match=sentence):
        store.update(ref("a"), **record)
    assert store.get(ref("a")) == {"old": True}
    with pytest.raises(TypeError):
        store.append(ref("a"), "s", record["a"])
    assert store.series(ref("a"), "s") == []


def test_nothing_of_the_caller_s_is_kept(store: Store) -> None:
    inner = {"list": [1]}
    given = {"inner": inner}
    store.put(ref("a"), given)
    store.append(ref("a"), "s", inner)
    given["more"] = {}
    inner["list"].append(2)
    assert store.get(ref("a")) == {"inner": {"list": [1]}}
    assert store.series(ref("a"), "s") == [{"list": [1]}]


def test_a_record_that_was_handed_out_cannot_be_edited(store: Store) -> None:
    record: Any = store.put(ref("a"), {"x": 1})
    with pytest.raises(TypeError):
        record["x"] = 2
    store.all(SCOPE, MODEL).clear()
    store.everywhere(MODEL).clear()
    assert store.all(SCOPE, MODEL) == [{"x": 1}]


def test_names_that_differ_by_case_are_one_arn(store: Store) -> None:
    store.put(ref("Dogs"), {"x": 1})
    with pytest.raises(ValueError, match=r"model/dogs is already the ARN of Dogs\.$"):
        store.put(ref("dogs"), {"x": 2})
    assert store.get(ref("dogs")) is None
    assert store.find(ref("DOGS").arn) == (ref("Dogs"), {"x": 1})
    store.delete(ref("Dogs"))
    store.put(ref("dogs"), {"x": 2})
    assert store.find(ref("Dogs").arn) == (ref("dogs"), {"x": 2})


def test_a_kind_that_keeps_case_has_two(store: Store) -> None:
    for name in ("Dogs", "dogs"):
        store.put(ref(name, kind=REPOSITORY), {"name": name})
    assert store.find(ref("Dogs", kind=REPOSITORY).arn) == (ref("Dogs", kind=REPOSITORY), {"name": "Dogs"})


def test_find_is_by_the_whole_arn(store: Store) -> None:
    store.put(ref("a"), {})
    for arn in (ref("a", OTHER).arn, ref("b").arn, ref("a", kind=TRAINING_JOB).arn, "a", ""):
        assert store.find(arn) is None


def test_a_series_is_in_order_and_ends_with_its_record(store: Store) -> None:
    store.put(ref("a"), {})
    for value in (1, "two", {"three": 3.0}):
        store.append(ref("a"), "s", value)
    store.append(ref("a"), "other", 4)
    store.update(ref("a"), x=1)
    assert store.series(ref("a"), "s") == [1, "two", {"three": 3.0}]
    assert store.series(ref("a"), "other") == [4]
    assert store.series(ref("a"), "none") == store.series(ref("b"), "s") == []
    store.delete(ref("a"))
    store.put(ref("a"), {})
    assert store.series(ref("a"), "s") == []


def test_all_series_of_a_record_can_be_dropped(store: Store) -> None:
    for name in ("a", "b"):
        store.put(ref(name), {"x": 1})
        store.append(ref(name), "s", 1)
    store.append(ref("a"), "other", 2)
    store.drop_series(ref("a"))
    store.drop_series(ref("none"))
    assert store.series(ref("a"), "s") == store.series(ref("a"), "other") == []
    assert store.get(ref("a")) == {"x": 1}
    assert store.series(ref("b"), "s") == [1]
    store.append(ref("a"), "s", 3)
    assert store.series(ref("a"), "s") == [3]


def test_a_series_needs_a_record(store: Store) -> None:
    with pytest.raises(KeyError):
        store.append(ref("a"), "s", 1)
    store.put(ref("a"), {})
    assert store.series(ref("a"), "s") == []


def test_a_series_keeps_the_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 3)
    store.put(ref("a"), {})
    for value in range(10):
        store.append(ref("a"), "s", value)
    assert store.series(ref("a"), "s") == [7, 8, 9]


def test_a_watcher_hears_of_every_change_of_its_kind_in_order(store: Store) -> None:
    store.put(ref("before"), {})
    heard: list[Change] = []
    store.watch(MODEL, heard.append)
    store.put(ref("a"), {"x": 1})
    store.put(ref("a", kind=TRAINING_JOB), {"x": 1})
    store.update(ref("a"), x=2)
    store.append(ref("a"), "s", 1)
    store.put(ref("b", OTHER), {})
    store.delete(ref("a"))
    store.delete(ref("a"))
    assert heard == [
        Change(ref("a"), None, {"x": 1}),
        Change(ref("a"), {"x": 1}, {"x": 2}),
        Change(ref("b", OTHER), None, {}),
        Change(ref("a"), {"x": 2}, None),
    ]


def test_a_watcher_is_called_after_the_change_with_the_lock_held(store: Store) -> None:
    seen: list[Any] = []
    free: list[bool] = []

    def tell(change: Change) -> None:
        seen.append(store.get(change.ref))
        other = threading.Thread(target=lambda: free.append(_is_free(store)))
        other.start()
        other.join(LONG_S)

    store.watch(MODEL, tell)
    store.put(ref("a"), {"x": 1})
    store.delete(ref("a"))
    assert (seen, free) == ([{"x": 1}, None], [False, False])


def _is_free(store: Store) -> bool:
    """Whether this thread could take the lock at once."""
    lock: Any = store.lock
    if taken := lock.acquire(blocking=False):
        lock.release()
    return bool(taken)


def test_a_watcher_that_ended_hears_no_more(store: Store) -> None:
    first, second = list[Change](), list[Change]()
    end = store.watch(MODEL, first.append)
    store.watch(MODEL, second.append)
    store.put(ref("a"), {})
    end()
    end()
    store.put(ref("b"), {})
    assert (len(first), len(second)) == (1, 2)


def test_a_watcher_may_end_itself(store: Store) -> None:
    heard: list[Change] = []
    ends: list[Callable[[], None]] = []

    def once(change: Change) -> None:
        heard.append(change)
        ends[0]()

    ends.append(store.watch(MODEL, once))
    store.put(ref("a"), {})
    store.put(ref("b"), {})
    assert len(heard) == 1


def test_what_a_watcher_raises_reaches_the_caller_and_the_change_stays(store: Store) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError("the watcher's own fault")

    store.watch(MODEL, fail)
    with pytest.raises(RuntimeError, match="own fault"):
        store.put(ref("a"), {"x": 1})
    assert store.get(ref("a")) == {"x": 1}
    with pytest.raises(RuntimeError, match="own fault"):
        store.delete(ref("a"))
    assert store.get(ref("a")) is None
    assert _is_free(store)


def test_the_lock_is_re_entrant_and_keeps_a_check_and_its_change_together(store: Store) -> None:
    store.put(ref("a"), {"count": 0})

    def add(_: int) -> None:
        with store.lock, store.lock:
            record = store.get(ref("a"))
            assert record is not None
            store.update(ref("a"), count=record["count"] + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(500)))
    assert store.get(ref("a")) == {"count": 500}


def test_many_threads_at_once(store: Store) -> None:
    heard: list[Change] = []
    store.watch(MODEL, heard.append)

    def work(number: int) -> None:
        place = ref(f"model-{number}")
        store.put(place, {"number": number})
        store.append(place, "s", number)
        store.update(place, done=True)
        records = store.all(SCOPE, MODEL)
        assert len(records) == len({record["number"] for record in records})
        assert store.series(place, "s") == [number]
        if number % 2:
            store.delete(place)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert sorted(record["number"] for record in store.all(SCOPE, MODEL)) == list(range(0, 200, 2))
    assert len(heard) == 200 + 200 + 100


def test_one_of_many_threads_takes_a_name(store: Store) -> None:
    def take(name: str) -> bool:
        try:
            store.put(ref(name), {"name": name})
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, ["dogs", "Dogs", "dOgs", "DOGS"])) == 1
