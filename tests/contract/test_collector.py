"""What the garbage collector of LocalStack's process looks at."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from stagemaker.adapters.collector import make_handler


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_there_after_the_first_answer_of_a_service_is_passed_over() -> None:
    answered = make_handler()

    def frozen_after_answer(service: SimpleNamespace | None) -> int:
        answered(None, SimpleNamespace(service=service), None)
        return gc.get_freeze_count()

    s3, sagemaker = SimpleNamespace(service_name="s3"), SimpleNamespace(service_name="sagemaker")
    first = frozen_after_answer(s3)
    assert first > 10_000
    made: list[list[int]] = [[] for _ in range(100_000)]
    assert frozen_after_answer(s3) <= first
    assert frozen_after_answer(None) <= first
    assert frozen_after_answer(sagemaker) > first + len(made) // 2  # others were freed
