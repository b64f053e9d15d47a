"""Multi-model endpoints over the fake runtime: models are fetched, loaded and unloaded as requests need them."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.dispatch import Dispatcher
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.model_cache import ModelCache
from stagemaker.hosting.multi_model import MAX_STICKY, ModelsSource, model_name
from stagemaker.hosting.multi_model_metrics import MultiModelMetrics
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.fake import FakeRuntime
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeClock, FakeLogs
from tests.unit.plugin.hosting.model_servers import ModelServers
from tests.unit.plugin.hosting_environment import PATIENCE_S, HostingEnvironment, archive, hosting_environment, until

PREFIX = "s3://bucket/models/"
NAMES = {target: model_name(f"{PREFIX}{target}") for target in "abc"}
DIMENSIONS = {"EndpointName": "end", "VariantName": "AllTraffic"}


def put(aws: FakeAws, *targets: str) -> None:
    for target in targets:
        aws.objects[f"{PREFIX}{target}"] = archive(**{"weights.txt": f"weights of {target}"})


@contextmanager
def multi_model(
    folder: Path, servers: ModelServers, *, instances: int = 1, **container: Any
) -> Iterator[HostingEnvironment]:
    """An endpoint "end" in service, with the models a, b and c in S3."""
    with hosting_environment(folder, serve=servers) as hosting:
        put(hosting.aws, "a", "b", "c")
        variant = {"InitialInstanceCount": instances}
        hosting.deploy(variant, ModelDataUrl=PREFIX, Mode="MultiModel", **container)
        yield hosting


def ask(hosting: HostingEnvironment, target: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(hosting.ask(b"hello", TargetModel=target)["Body"])
    return answer


def refused(hosting: HostingEnvironment, target: str) -> ApiError:
    with pytest.raises(ApiError) as error:
        ask(hosting, target)
    return error.value


def folder_of(hosting: HostingEnvironment, target: str) -> Path:
    base = hosting.runtime.started[0].base_dir
    assert base
    return base / "models" / NAMES[target]


def test_the_first_request_loads_its_model_and_the_next_finds_it(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        first, second = ask(hosting, "a"), ask(hosting, "a")
        assert first["weights"] == "weights of a"
        assert first["url"] == str(folder_of(hosting, "a") / "model")
        assert first["headers"]["X-Amzn-SageMaker-Target-Model"] == "a"
        assert (second["name"], second["body"]) == (NAMES["a"], "hello")
        invoke = f"POST /models/{NAMES['a']}/invoke"
        assert servers.asked == ["POST /models", invoke, invoke]
        [spec] = hosting.runtime.started
        assert spec.environment["SAGEMAKER_MULTI_MODEL"] == "true"
        assert [mount.target for mount in spec.mounts] == ["/opt/ml/models"]
        assert hosting.logs.values["ModelCacheHit"] == [0.0, 1.0]
        for name in ("ModelLoadingWaitTime", "ModelDownloadingTime", "ModelLoadingTime"):
            assert len(hosting.logs.values[name]) == 1
            assert hosting.logs.dimensions[name] == DIMENSIONS
            assert hosting.logs.kinds[name] == ("AWS/SageMaker", "Microseconds")
        assert hosting.logs.kinds["ModelCacheHit"] == ("AWS/SageMaker", "None")
        assert hosting.logs.values["ModelLoadingWaitTime"] >= hosting.logs.values["ModelLoadingTime"]
        assert len(hosting.logs.values["Invocations"]) == 2


def test_requests_at_once_for_one_model_load_it_once(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        servers.may_load.clear()
        with ThreadPoolExecutor(5) as callers:
            answers = [callers.submit(ask, hosting, "a") for _ in range(5)]
            until(lambda: servers.asked == ["POST /models"], "the load")
            until(lambda: len(hosting.logs.values["ModelCacheHit"]) == 5, "5 requests wait")
            servers.may_load.set()
            assert {answer.result()["weights"] for answer in answers} == {"weights of a"}
        assert servers.asked.count("POST /models") == 1
        assert len(hosting.logs.values["Invocations"]) == 5


def test_without_memory_the_least_recently_used_model_is_unloaded_and_keeps_its_files(tmp_path: Path) -> None:
    servers = ModelServers(memory=2)
    with multi_model(tmp_path, servers) as hosting:
        for target in ("a", "b", "a", "c"):
            ask(hosting, target)
        assert [asked for asked in servers.asked if asked.startswith("DELETE")] == [f"DELETE /models/{NAMES['b']}"]
        assert (folder_of(hosting, "b") / "model" / "weights.txt").exists()
        assert ask(hosting, "b")["weights"] == "weights of b"
        assert len(hosting.logs.values["ModelDownloadingTime"]) == 3
        assert len(hosting.logs.values["ModelUnloadingTime"]) == 2


def test_a_model_without_memory_is_the_container_s_error_when_nothing_can_go(tmp_path: Path) -> None:
    servers = ModelServers(memory=0)
    with multi_model(tmp_path, servers) as hosting:
        error = refused(hosting, "a")
        assert (error.code, error.status, error.members["OriginalStatusCode"]) == ("ModelError", 424, 507)
        assert "by the container" in error.members["OriginalMessage"]


def test_without_memory_to_run_a_model_others_go_and_it_is_asked_again(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        ask(hosting, "a")
        ask(hosting, "b")
        servers.invoke_statuses = [507]
        assert ask(hosting, "b")["weights"] == "weights of b"
        assert f"DELETE /models/{NAMES['a']}" in servers.asked
        servers.invoke_statuses = [507]
        assert refused(hosting, "b").members["OriginalStatusCode"] == 507


def test_a_model_that_the_container_has_lost_is_loaded_again_by_the_next_request(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        ask(hosting, "a")
        servers.invoke_statuses = [404]
        assert refused(hosting, "a").members["OriginalStatusCode"] == 404
        assert ask(hosting, "a")["weights"] == "weights of a"  # 409 counts as loaded
        assert servers.asked.count("POST /models") == 2


def test_a_container_that_does_not_load_a_model_says_why_and_is_asked_again(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        servers.load_status = 500
        error = refused(hosting, "a")
        assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 500)
        servers.load_status = 200
        assert ask(hosting, "a")["weights"] == "weights of a"


def test_a_model_that_is_not_there_is_named_and_may_come(tmp_path: Path) -> None:
    with multi_model(tmp_path, ModelServers()) as hosting:
        error = refused(hosting, "dir/new")
        assert (error.code, error.status) == ("ValidationError", 400)
        assert error.message.startswith("Failed to download model data (bucket: bucket, key: models/dir/new).")
        put(hosting.aws, "dir/new")
        assert ask(hosting, "dir/new")["weights"] == "weights of dir/new"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with multi_model(tmp_path, ModelServers()) as hosting:
        hosting.aws.objects[f"{PREFIX}a"] = b"no archive"
        error = refused(hosting, "a")
        assert error.code == "ValidationError"
        assert "valid tar.gz archive" in error.message
        assert not folder_of(hosting, "a").exists()


def test_a_request_without_a_target_is_refused(tmp_path: Path) -> None:
    with (
        multi_model(tmp_path, ModelServers()) as hosting,
        pytest.raises(ApiError, match="missing a target model header"),
    ):
        hosting.ask()


def test_a_container_without_a_list_of_models_fails_the_endpoint(tmp_path: Path) -> None:
    servers = ModelServers()
    servers.list_status = 404
    with hosting_environment(tmp_path, serve=servers) as hosting:
        hosting.model("model", ModelDataUrl=PREFIX, Mode="MultiModel")
        hosting.config("config")
        hosting.create()
        hosting.wait_for("Failed")
        reason = hosting.describe()["FailureReason"]
        assert reason.startswith("The primary container for production variant AllTraffic did not pass the ping health")
        assert "GET /models answered 404" in reason


def test_without_caching_a_model_is_gone_after_its_request(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers, MultiModelConfig={"ModelCacheSetting": "Disabled"}) as hosting:
        for count in (1, 2):
            assert ask(hosting, "a")["weights"] == "weights of a"
            until(lambda: not folder_of(hosting, "a").exists(), "the files are deleted")
            until(lambda count=count: len(hosting.logs.values["ModelUnloadingTime"]) == count, "it is unloaded")  # type: ignore[misc]
        assert hosting.logs.values["ModelCacheHit"] == [0.0, 0.0]


def test_requests_for_a_model_stick_to_one_instance(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers, instances=2) as hosting:
        first = ask(hosting, "a")["container"]
        assert {ask(hosting, "a")["container"] for _ in range(5)} == {first}
        assert servers.asked.count("POST /models") == 1


def test_another_instance_loads_the_model_of_a_busy_one(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers, instances=2) as hosting:
        servers.may_load.clear()
        with ThreadPoolExecutor(MAX_STICKY + 1) as callers:
            answers = [callers.submit(ask, hosting, "a") for _ in range(MAX_STICKY + 1)]
            until(lambda: servers.asked == ["POST /models"] * 2, "two loads")
            servers.may_load.set()
            containers = Counter(answer.result()["container"] for answer in answers)
        assert sorted(containers.values()) == [1, MAX_STICKY]


def test_a_model_that_was_deleted_in_s3_serves_as_long_as_it_is_loaded(tmp_path: Path) -> None:
    with multi_model(tmp_path, ModelServers()) as hosting:
        ask(hosting, "a")
        del hosting.aws.objects[f"{PREFIX}a"]
        assert ask(hosting, "a")["weights"] == "weights of a"


def test_a_new_container_loads_the_models_from_the_disk(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        ask(hosting, "a")
        hosting.runtime.containers[0].stop(0)
        until(lambda: len(hosting.runtime.started) == 2 and hosting.current() == 1, "a new container")
        assert ask(hosting, "a")["weights"] == "weights of a"
        assert servers.asked.count("POST /models") == 2
        assert len(hosting.logs.values["ModelDownloadingTime"]) == 1


def test_a_load_goes_on_when_its_request_has_no_time_left(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        servers.may_load.clear()
        dispatcher = Dispatcher(hosting.store, hosting.endpoints, time.time)
        with pytest.raises(ApiError) as error:
            dispatcher.begin(hosting.ref(), ContainerCall(PATH, {}, b"hello", 0.1, "a"), None)
        assert (error.value.code, error.value.status) == ("ModelNotReadyException", 429)
        servers.may_load.set()
        assert ask(hosting, "a")["weights"] == "weights of a"
        assert servers.asked.count("POST /models") == 1


def test_an_endpoint_is_deleted_while_a_model_is_loaded(tmp_path: Path) -> None:
    servers = ModelServers()
    with multi_model(tmp_path, servers) as hosting:
        servers.may_load.clear()
        dispatcher = Dispatcher(hosting.store, hosting.endpoints, time.time)
        with pytest.raises(ApiError):
            dispatcher.begin(hosting.ref(), ContainerCall(PATH, {}, b"hello", 0.1, "a"), None)
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        assert hosting.left() == []


class OneInstance:
    """A cache over one container, without an endpoint."""

    def __init__(self, folder: Path, servers: ModelServers, *, max_bytes: int = 1 << 20, load_s: float = 360.0) -> None:
        self.supervisor, self.aws, self.logs, self.clock = Supervisor(), FakeAws(), FakeLogs(), FakeClock()
        put(self.aws, "a", "b", "c")
        runtime = FakeRuntime({"serve": servers}, self.supervisor)
        self.supervisor.own(runtime.close)
        (folder / "models").mkdir()
        self.folder = folder / "models"
        container = runtime.start(ContainerSpec("one", "stagemaker/serve", ("serve",), folder, serves=True), print)
        assert container.address
        self.client = HttpClient(container.address)
        context = FleetContext(runtime, self.aws, self.logs, self.clock, self.supervisor, HealthTimes())
        metrics = MultiModelMetrics(self.logs, SCOPE, lambda: [DIMENSIONS], self.clock)
        source = ModelsSource(PREFIX, caches=True)
        self.cache = ModelCache(source, folder, max_bytes, context, SCOPE, "group", metrics, print, load_s=load_s)
        self.cache.serve(container)

    def use(self, target: str) -> None:
        with self.cache.use(target, self.client, time.monotonic() + PATIENCE_S):
            pass


@contextmanager
def one_instance(folder: Path, servers: ModelServers, **options: Any) -> Iterator[OneInstance]:
    instance = OneInstance(folder, servers, **options)
    try:
        until(lambda: answers(instance.client), "the container serves")
        yield instance
    finally:
        instance.client.close()
        instance.supervisor.close()
        instance.cache.end()


def answers(client: HttpClient) -> bool:
    try:
        return client.request("GET", "/ping", timeout_s=1, max_bytes=100).status == 200
    except OSError:
        return False


def test_a_full_disk_loses_the_files_of_the_model_that_was_used_least_recently(tmp_path: Path) -> None:
    servers = ModelServers()
    with one_instance(tmp_path, servers, max_bytes=25) as instance:  # each model has 12 bytes
        for target in ("a", "b", "a", "c"):
            instance.use(target)
        assert {path.name for path in instance.folder.iterdir()} == {NAMES["a"], NAMES["c"]}
        assert instance.cache.loaded() == ["a", "c"]
        assert f"DELETE /models/{NAMES['b']}" in servers.asked


def test_a_model_that_the_disk_cannot_hold_is_refused(tmp_path: Path) -> None:
    with one_instance(tmp_path, ModelServers(), max_bytes=11) as instance:
        with pytest.raises(ApiError, match="models take at most 11 bytes") as error:
            instance.use("a")
        assert error.value.code == "ValidationError"
        assert list(instance.folder.iterdir()) == []


def test_a_load_that_takes_too_long_ends_with_the_model_s_error(tmp_path: Path) -> None:
    servers = ModelServers()
    servers.may_load.clear()
    with one_instance(tmp_path, servers, load_s=0.5) as instance:
        with pytest.raises(ApiError, match="was not loaded within") as error:
            instance.use("a")
        assert error.value.code == "ModelError"
        assert instance.cache.loading_until_s == 0.0


def test_the_container_counts_as_busy_while_it_loads_a_model(tmp_path: Path) -> None:
    servers = ModelServers()
    servers.may_load.clear()
    with one_instance(tmp_path, servers) as instance:
        began_s = time.monotonic()
        with (
            pytest.raises(ApiError, match="still being loaded"),
            instance.cache.use("a", instance.client, due_s=began_s),
        ):
            raise AssertionError
        assert instance.cache.loading_until_s >= began_s + 360
        servers.may_load.set()
        until(lambda: instance.cache.loading_until_s == 0.0, "the end of the load")
        assert instance.cache.loaded() == ["a"]


def test_a_model_that_a_request_uses_is_not_unloaded(tmp_path: Path) -> None:
    servers = ModelServers(memory=1)
    with one_instance(tmp_path, servers) as instance:
        with instance.cache.use("a", instance.client, time.monotonic() + PATIENCE_S):
            with pytest.raises(ApiError) as error:
                instance.use("b")
            assert error.value.members["OriginalStatusCode"] == 507
            assert instance.cache.holds("a")
        instance.use("b")
        assert not instance.cache.holds("a")
        assert instance.cache.loaded() == ["b"]


def test_the_number_of_loaded_models_is_told_once_a_minute(tmp_path: Path) -> None:
    with one_instance(tmp_path, ModelServers()) as instance:
        instance.use("a")
        for _ in range(2):
            instance.cache.report()
        instance.use("b")
        instance.clock.now += 60
        instance.cache.report()
        assert instance.logs.values["LoadedModelCount"] == [1.0, 2.0]
        assert instance.logs.dimensions["LoadedModelCount"] == DIMENSIONS
        assert instance.logs.kinds["LoadedModelCount"] == ("/aws/sagemaker/Endpoints", "None")
