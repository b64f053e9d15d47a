"""When the policy of another account's bucket is told."""

import json

import pytest

from infra.blueprint import Blueprint
from infra.data_bucket.denied import policy_told
from infra.data_bucket.settings import DataSettings
from infra.errors import StepFailed
from infra.resource_policies import data_bucket, data_key
from infra.settings import DeploymentSettings

KEY = "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BLUEPRINT = Blueprint(DeploymentSettings(data=DataSettings("photos", "210987654321")), "123456789012", "")
WITH_KEY = Blueprint(DeploymentSettings(data=DataSettings("photos", "210987654321", "", KEY)), "123456789012", "")
DENIED = StepFailed("The training job a failed: Access denied to s3://photos/train/1.jpg.", "Mend it.")
OTHER = StepFailed("The training job b failed: no photo of s3://photos/ has three colours.", "Mend it.")


def told(error: Exception, blueprint: Blueprint = BLUEPRINT) -> list[str]:
    said: list[str] = []
    with pytest.raises(type(error)) as caught, policy_told(blueprint, "", said.append):
        raise error
    assert caught.value is error
    return said


@pytest.mark.parametrize("error", [DENIED, ExceptionGroup("two jobs", [OTHER, DENIED])])
def test_a_job_that_is_refused_its_photos(error: Exception) -> None:
    which, policy = told(error)
    assert "photos" in which
    assert json.loads(policy) == data_bucket(BLUEPRINT).policy


def test_what_fails_for_another_reason() -> None:
    assert told(OTHER) == []
    assert told(StepFailed("Access denied to s3://others/model.tar.gz.", "Mend it.")) == []


def test_photos_in_the_deployment_s_own_bucket() -> None:
    own = Blueprint(DeploymentSettings(), "123456789012", "")
    assert told(DENIED, own) == []


def test_a_job_that_may_not_use_the_key_of_its_photos() -> None:
    refused = StepFailed("Cannot read s3://photos/train/1.jpg: not authorized to perform: kms:Decrypt.", "Mend it.")
    which, policy = told(refused, WITH_KEY)
    assert KEY in which
    assert json.loads(policy) == data_key(WITH_KEY).policy
    assert "photos" in told(DENIED, WITH_KEY)[0]
    both = told(ExceptionGroup("two jobs", [refused, DENIED]), WITH_KEY)
    assert [json.loads(text) for text in both[1::2]] == [data_bucket(WITH_KEY).policy, data_key(WITH_KEY).policy]
    assert told(refused) == [], "the settings name no key: the words of AWS are all that is known"
