"""What a host leaves in S3 is read as it was meant, and what cannot be read is told."""

import hashlib

import pytest

from infra.ec2.outcome import MAX_LOG_BYTES, location, metrics, read_result, read_text, weights_sha256
from infra.errors import StepFailed
from infra.settings import METRICS
from tests.unit.infra.ec2.host_machine import INSTANCE, RUN
from tests.unit.infra.ec2.hosts import COMPLETED_RESULT, LOG, MODEL, RESULT, archive, result, s3


def test_a_result_of_an_instance_has_its_reason_and_that_of_a_run_is_of_one_that_completed() -> None:
    objects = {RESULT: result("Failed"), f"{RUN.results}/{INSTANCE}/why": b"no photos here"}
    found = read_result(s3(objects), RUN.results, INSTANCE)
    assert found is not None
    assert (found.status, found.why) == ("Failed", "no photos here")
    assert read_result(s3(objects), RUN.results) is None
    completed = read_result(s3({COMPLETED_RESULT: result(life_cycle="spot", gpu=True)}), RUN.results)
    assert completed is not None
    assert (completed.why, completed.life_cycle, completed.gpu, completed.host_s) == ("", "spot", True, 90)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "Completed"}', result(cost=1)])
def test_a_result_that_cannot_be_read_is_told_by_its_address(content: bytes) -> None:
    with pytest.raises(StepFailed, match=f"{COMPLETED_RESULT} cannot be read"):
        read_result(s3({COMPLETED_RESULT: content}), RUN.results)


def test_a_metric_is_the_last_that_the_log_has() -> None:
    lines = ["epoch=1 train_loss=0.9 valid_loss=0.8 valid_accuracy=0.5", "epoch=2 train_loss=0.7", "host: done"]
    assert metrics(lines, METRICS) == {"train:loss": 0.7, "validation:loss": 0.8, "validation:accuracy": 0.5}


@pytest.mark.parametrize("name", ["model__safetensors", "./model__safetensors"])
def test_the_digest_is_of_the_weights_and_not_of_the_archive(name: str) -> None:
    weights = b"weights" * 300_000
    content = archive(**{"model_card__json": b"{}", name: weights})
    assert weights_sha256(s3({MODEL: content}), MODEL) == hashlib.sha256(weights).hexdigest()
    assert weights_sha256(s3({}), MODEL) is None


def test_an_archive_without_weights_is_told() -> None:
    with pytest.raises(StepFailed, match=r"has no model\.safetensors"):
        weights_sha256(s3({MODEL: archive(model__pth=b"x")}), MODEL)


def test_a_log_is_read_up_to_its_limit_and_whatever_its_bytes() -> None:
    objects = {LOG: b"\xff" + b"x" * MAX_LOG_BYTES}
    text = read_text(s3(objects), LOG)
    assert text is not None
    assert (text[0], len(text)) == ("\ufffd", MAX_LOG_BYTES)
    assert read_text(s3({}), LOG) is None


def test_where_an_object_is() -> None:
    assert location("s3://bucket/a/b c") == {"Bucket": "bucket", "Key": "a/b c"}
