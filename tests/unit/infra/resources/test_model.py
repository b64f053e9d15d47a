"""A model that SageMaker does not make at first: its role may become usable, its artifact does not come back."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import patience
from infra.errors import StepFailed
from infra.patience import SAGEMAKER
from infra.resources.model import Model
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

ARTIFACT = "s3://models-of-dogs/models/dogs-0123456789/output/model.tar.gz"
REQUEST = {
    "ModelName": "dogs-0123456789",
    "PrimaryContainer": {"Image": "serve", "ModelDataUrl": ARTIFACT},
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/hosting",
}
NO_DATA = ClientError(
    {"Error": {"Code": "ValidationException", "Message": f"Could not access model data at {ARTIFACT}. Please ensure"}},
    "CreateModel",
)
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": SAGEMAKER}, "Action": "sts:AssumeRole"}]}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)


def model(looked_at: Any, *answers: Any) -> tuple[FakeClient, FakeClient, Model]:
    sagemaker, s3 = FakeClient({"create_model": list(answers)}), FakeClient({"head_object": looked_at})
    iam = FakeClient({"get_role": {"Role": {"AssumeRolePolicyDocument": TRUST}}})
    return sagemaker, s3, Model(fake_clients(sagemaker=sagemaker, s3=s3, iam=iam), REQUEST)


def test_an_artifact_that_is_missing_is_not_waited_for() -> None:
    sagemaker, s3, one = model(missing("404"), NO_DATA)
    with pytest.raises(StepFailed, match=r"its artifact .* is not there") as caught:
        one.create()
    assert "delete the training job dogs-0123456789" in caught.value.next_step
    assert len(sagemaker.calls) == 1
    key = "models/dogs-0123456789/output/model.tar.gz"
    assert s3.calls == [("head_object", {"Bucket": "models-of-dogs", "Key": key})]


@pytest.mark.parametrize("looked_at", [{"ContentLength": 9}, missing("403")])
def test_one_that_is_there_or_may_be_is_waited_for(looked_at: Any) -> None:
    sagemaker, _, one = model(looked_at, NO_DATA, NO_DATA, {})
    assert one.create() == ""
    assert len(sagemaker.calls) == 3
