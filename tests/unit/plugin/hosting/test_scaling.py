"""UpdateEndpointWeightsAndCapacities over the fake runtime: fleets grow, shrink and go back."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stagemaker.api.operation import OWN
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.hosting.health import HealthTimes
from stagemaker.runtime.contract import HardwareRefused
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import (
    DATA,
    IMAGE,
    HostingEnvironment,
    dies,
    echo_server,
    hosting_environment,
    until,
)

REF = Ref(SCOPE, ENDPOINT, "end")


def running(hosting: HostingEnvironment) -> int:
    """How many containers run."""
    return sum(container.running for container in hosting.runtime.containers)


def counts(hosting: HostingEnvironment) -> tuple[int, int]:
    """Current and desired instances of the first variant."""
    variant = hosting.describe()["ProductionVariants"][0]
    return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


def test_a_fleet_grows_and_shrinks_under_load_without_a_lost_request(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        with hosting.load() as load:
            load.wait_for_more(20)
            clock.now += 7
            hosting.scale(DesiredInstanceCount=3)
            hosting.wait_for("InService")
            described = hosting.describe()
            assert (counts(hosting), running(hosting)) == ((3, 3), 3)
            assert described["LastModifiedTime"] == described["CreationTime"] + 7
            assert {"FailureReason", OWN}.isdisjoint(described)
            load.wait_for_more(40)
            assert len(set(load.answered[-20:])) == 3
            hosting.scale(DesiredInstanceCount=1)
            hosting.wait_for("InService")
            assert (counts(hosting), running(hosting)) == ((1, 1), 1)
            load.wait_for_more(40)
        assert load.failed == []
        assert load.sent == len(load.answered)
        assert len(set(load.answered)) == 3
        assert set(load.answered[-20:]) == set(load.answered[:20])  # the first instance is the one that stayed
        assert hosting.statuses == ["Creating", "InService", "Updating", "InService", "Updating", "InService"]
        assert len({spec.base_dir for spec in hosting.runtime.started}) == len(hosting.logs.lines) == 3
        kept = [spec.base_dir for spec in hosting.runtime.started if spec.base_dir and spec.base_dir.exists()]
        assert kept == [hosting.runtime.started[0].base_dir]


def test_the_endpoint_is_updating_until_the_new_instances_serve(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
        hosting.scale(DesiredInstanceCount=2)
        until(lambda: running(hosting) == 2, "a second container")
        assert (hosting.status(), counts(hosting)) == ("Updating", (1, 2))
        (status,) = hosting.describe()["ProductionVariants"][0]["VariantStatus"]
        assert status == {
            "Status": "Updating",
            "StatusMessage": "Scaling out desired instance count to 2.",
            "StartTime": clock.now,
        }
        for call in (
            lambda: hosting.scale(DesiredInstanceCount=3),
            lambda: hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"}),
        ):
            with pytest.raises(ApiError, match="Cannot update in-progress endpoint") as error:
                call()
            assert error.value.code == "ValidationException"
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"


def test_weights_move_at_once(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"VariantName": "a"}, {"VariantName": "b", "InitialVariantWeight": 0.0}, {"VariantName": "c"})
        assert Counter(hosting.ask()["InvokedProductionVariant"] for _ in range(10)) == {"a": 5, "c": 5}
        hosting.scale({"VariantName": "a", "DesiredWeight": 0.0}, {"VariantName": "b", "DesiredWeight": 4.0})
        assert Counter(hosting.ask()["InvokedProductionVariant"] for _ in range(10)) == {"b": 8, "c": 2}
        hosting.wait_for("InService")
        weights = [(v["CurrentWeight"], v["DesiredWeight"]) for v in hosting.describe()["ProductionVariants"]]
        assert weights == [(0.0, 0.0), (4.0, 4.0), (1.0, 1.0)]
        assert hosting.statuses[-2:] == ["Updating", "InService"]
        assert len(hosting.runtime.started) == 3


def test_an_instance_that_goes_answers_what_it_has(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        with hosting.load(callers=2, body=b"work 0.3") as load:  # one on each
            until(lambda: hosting.count_lines("got work") == 2, "work on both")
            hosting.scale(DesiredInstanceCount=1)
            until(lambda: counts(hosting) == (1, 1), "one that does not count any more")
            assert (hosting.status(), running(hosting)) == ("Updating", 2)
            hosting.wait_for("InService")
            assert running(hosting) == 1
        assert load.failed == []
        assert len(set(load.answered)) == 2


def test_an_instance_that_goes_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, times=HealthTimes(request_s=0.2)) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        with hosting.load(callers=2, body=b"work 30") as load:
            until(lambda: hosting.count_lines("got work") == 2, "work on both")
            hosting.scale(DesiredInstanceCount=1)
            hosting.wait_for("InService")
            until(lambda: len(load.failed) == 1, "the end of its request")
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert load.failed[0].code == "ModelError"


def test_new_instances_that_cannot_serve_leave_the_former_targets(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"VariantName": "a", "InitialVariantWeight": 2.0}, {"VariantName": "b"})
        hosting.runtime.behaviours["serve"] = dies
        hosting.scale(
            {"VariantName": "a", "DesiredInstanceCount": 3, "DesiredWeight": 5.0},
            {"VariantName": "b", "DesiredWeight": 5.0},
        )
        hosting.wait_for("InService")
        assert hosting.statuses[-3:] == ["Updating", "RollingBack", "InService"]
        described = hosting.describe()
        assert "ended with exit code 3 before it was healthy" in described["FailureReason"]
        assert [(v["DesiredInstanceCount"], v["DesiredWeight"]) for v in described["ProductionVariants"]] == [
            (1, 2.0),
            (1, 1.0),
        ]
        assert counts(hosting) == (1, 1)
        assert running(hosting) == 2
        assert len([spec for spec in hosting.runtime.started if spec.base_dir and spec.base_dir.exists()]) == 2
        hosting.runtime.behaviours["serve"] = echo_server
        hosting.scale({"VariantName": "a", "DesiredInstanceCount": 2})
        hosting.wait_for("InService")
        assert counts(hosting) == (2, 2)
        assert "FailureReason" not in hosting.describe()


def test_a_rollback_of_a_growing_fleet_loses_no_request(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        hosting.runtime.behaviours["serve"] = dies
        with hosting.load() as load:
            for _ in range(3):
                hosting.scale(DesiredInstanceCount=4)
                hosting.wait_for("InService")
                load.wait_for_more(20)
        assert load.failed == []
        assert load.sent == len(load.answered)
        assert hosting.statuses[-3:] == ["Updating", "RollingBack", "InService"]
        assert (counts(hosting), running(hosting)) == ((2, 2), 2)


def test_new_instances_need_the_model_data(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        data = hosting.aws.objects.pop(DATA)
        hosting.scale(DesiredInstanceCount=2)
        hosting.wait_for("InService")
        assert f"Could not download {DATA}" in hosting.describe()["FailureReason"]
        assert (counts(hosting), len(hosting.runtime.started)) == ((1, 1), 1)
        hosting.aws.objects[DATA] = data
        hosting.scale(DesiredInstanceCount=2)
        hosting.wait_for("InService")
        assert counts(hosting) == (2, 2)


def test_an_unforeseen_error_rolls_back_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        monkeypatch.setattr(hosting.aws, "download_file", broken)
        hosting.scale(DesiredInstanceCount=2)
        hosting.wait_for("InService")
        assert hosting.describe()["FailureReason"] == "Request to service failed: RuntimeError: unforeseen"
        assert counts(hosting) == (1, 1)


def test_model_data_is_fetched_once_for_all_new_instances(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.aws.objects["s3://b/m/a"] = b"1"
        source = {"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        hosting.deploy(ModelDataUrl="", ModelDataSource={"S3DataSource": source})
        hosting.scale(DesiredInstanceCount=4)
        hosting.wait_for("InService")
        assert hosting.aws.downloaded == ["s3://b/m/"] * 2
        assert [lines[1] for lines in hosting.logs.lines.values()] == ["serving ['a']"] * 4


def refuse(hosting: HostingEnvironment, *changes: dict[str, Any], name: str = "end") -> ApiError:
    request = {"EndpointName": name, "DesiredWeightsAndCapacities": [*changes]}
    with pytest.raises(ApiError) as error:
        hosting.endpoints.update_endpoint_weights_and_capacities(SCOPE, request)
    return error.value


def test_what_is_refused(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"VariantName": "a"}, {"VariantName": "b"})
        more = {"VariantName": "a", "DesiredInstanceCount": 2}
        for changes, name, code, sentence in (
            ([more], "no", "ValidationException", 'Could not find endpoint "arn:'),
            ([{**more, "VariantName": "c"}], "end", "ValidationException", "has no production variant c"),
            ([more, {**more, "VariantName": "b"}], "end", "ValidationException", "one production variant in a request"),
            ([{**more, "DesiredInstanceCount": 0}], "end", "ValidationException", "must be at least 1"),
            ([{**more, "DesiredInstanceCount": 20}], "end", "ResourceLimitExceeded", "at most 20 instances"),
        ):
            error = refuse(hosting, *changes, name=name)
            assert (error.code, error.status) == (code, 400)
            assert sentence in error.message
        serverless = refuse(hosting, {"VariantName": "a", "ServerlessUpdateConfig": {"MaxConcurrency": 1}})
        assert (serverless.code, serverless.status) == ("ValidationException", 400)
        assert "which is not serverless" in serverless.message
        assert hosting.statuses == ["Creating", "InService"]
        hosting.model("sick", IMAGE.replace("serve", "mute"))
        hosting.config("slow", {"ModelName": "sick"})
        hosting.create("other", "slow")
        assert "Cannot update in-progress endpoint" in refuse(hosting, more, name="other").message


def test_hardware_that_there_is_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(instance_type: str, hosts: int) -> None:
        raise HardwareRefused("There is no GPU: set STAGEMAKER_GPU=auto.")

    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        monkeypatch.setattr(hosting.runtime, "check_hardware", check)
        refused = refuse(hosting, {"VariantName": "AllTraffic", "DesiredInstanceCount": 2})
        assert refused.code == "ResourceLimitExceeded"
        assert hosting.status() == "InService"


def test_an_update_while_an_instance_is_replaced(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        hosting.scale(DesiredInstanceCount=3)
        until(lambda: counts(hosting) == (2, 3), "the new instance")
        assert hosting.status() == "Updating"
        clock.now += 1
        hosting.wait_for("InService")
        assert counts(hosting) == (3, 3)


def test_the_one_that_does_not_serve_goes_first(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, FakeClock()) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        dead = hosting.container_of()
        assert hosting.container_of() != dead
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        hosting.scale(DesiredInstanceCount=1)
        hosting.wait_for("InService")
        assert counts(hosting) == (1, 1)
        assert dead not in {hosting.container_of() for _ in range(4)}


def test_a_lost_instance_is_started_anew_when_the_variant_grows(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        del hosting.runtime.behaviours["serve"]  # so that the restart is refused
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 1
        until(lambda: threads(hosting) == 1, "its loss")
        assert (hosting.status(), counts(hosting)) == ("InService", (1, 2))
        hosting.runtime.behaviours["serve"] = echo_server
        hosting.scale(DesiredInstanceCount=3)
        hosting.wait_for("InService")
        assert counts(hosting) == (3, 3)


def threads(hosting: HostingEnvironment) -> int:
    """How many instances have a thread."""
    return sum(name.startswith("instance ") for name in hosting.supervisor.threads())


def test_an_endpoint_that_grows_is_not_deleted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
        hosting.scale(DesiredInstanceCount=3)
        until(lambda: running(hosting) == 3, "three containers")
        with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert hosting.status() == "Updating"
    assert running(hosting) == 0
    assert hosting.left() == []


def test_an_endpoint_that_is_lost_while_updating_fails(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
        hosting.scale(DesiredInstanceCount=2)
        until(lambda: running(hosting) == 2, "two containers")
        del hosting.runtime.behaviours["serve"]  # so that the restart is refused
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 300  # for the new one it is too late
        hosting.wait_for("Failed")
        assert hosting.statuses[-4:] == ["Updating", "RollingBack", "OutOfService", "Failed"]
        assert hosting.left() == []


def test_shutdown_while_updating_leaves_nothing(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
        hosting.scale(DesiredInstanceCount=3)
        until(lambda: running(hosting) == 3, "three containers")
        hosting.supervisor.close()
        assert running(hosting) == 0
        refused = refuse(hosting, {"VariantName": "AllTraffic", "DesiredWeight": 1.0})
        assert (refused.code, refused.status) == ("ServiceUnavailable", 503)


def test_whoever_changes_the_record_changes_the_fleet(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.store.update(REF, **{OWN: {"Targets": {"AllTraffic": {"Count": 3, "Weight": 1.0}}}})
        until(lambda: counts(hosting) == (3, 3), "three instances")
        hosting.ask()
        assert hosting.logs.values["InvocationsPerInstance"] == [1 / 3]


def test_the_counts_of_a_new_configuration_are_its_own(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.scale(DesiredInstanceCount=3)
        hosting.wait_for("InService")
        hosting.config("next", {"InitialInstanceCount": 2, "InitialVariantWeight": 4.0})
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        assert counts(hosting) == (3, 3)  # of the fleet that serves
        hosting.wait_for("InService")
        assert counts(hosting) == (2, 2)
        hosting.scale(DesiredInstanceCount=1)
        hosting.wait_for("InService")
        assert counts(hosting) == (1, 1)


def test_many_changes_of_weights_leave_one_fleet(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        before = hosting.supervisor.threads()
        for number in range(30):
            hosting.scale(DesiredWeight=float(number + 1))
            hosting.wait_for("InService")
        assert hosting.supervisor.threads() == before
        assert len(hosting.runtime.started) == 1
