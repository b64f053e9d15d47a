"""What of the requests names the key: as AWS takes it, and nothing at all without one."""

from dataclasses import replace

import pytest

from infra.blueprint import Blueprint
from infra.encryption.requests import has_own_disks, without_volume_key
from infra.encryption.settings import EncryptionSettings
from infra.notebook.requests import instance_request
from infra.notebook.settings import NotebookSettings
from infra.settings import DeploymentSettings, EndpointSettings, ModelSettings, TrainingSettings
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import ACCOUNT

KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
MODEL = ModelSettings()
WITHOUT = Blueprint(DeploymentSettings(notebook=NotebookSettings()), ACCOUNT, "ab" * 32)
WITH = replace(WITHOUT, key=KEY, settings=replace(WITHOUT.settings, encryption=EncryptionSettings("alias/dogs")))
ON_DISKS = ModelSettings("", TrainingSettings("ml.g4dn.xlarge"), EndpointSettings("ml.g5.xlarge"))


def test_jobs_have_the_key_and_are_not_trained_anew_by_it() -> None:
    for plain, keyed in (
        (WITHOUT.training_request(MODEL), WITH.training_request(MODEL)),
        (WITHOUT.features_request(), WITH.features_request()),
    ):
        check("sagemaker", "CreateTrainingJob", keyed)
        assert keyed["OutputDataConfig"].pop("KmsKeyId") == KEY
        assert keyed["ResourceConfig"].pop("VolumeKmsKeyId") == KEY
        assert keyed == plain


def test_a_search_has_the_key_and_is_not_made_anew_by_it() -> None:
    keyed = WITH.tuning_request(features_job="f-1")
    check("sagemaker", "CreateHyperParameterTuningJob", keyed)
    definition = keyed["TrainingJobDefinition"]
    assert definition["OutputDataConfig"].pop("KmsKeyId") == KEY
    assert definition["ResourceConfig"].pop("VolumeKmsKeyId") == KEY
    assert keyed == WITHOUT.tuning_request(features_job="f-1")


def test_an_endpoint_moves_to_a_configuration_with_another_key() -> None:
    other = replace(WITH, key=KEY.replace("1234abcd-", "5678abcd-"))
    made = [one.endpoint_config_request(MODEL, "m") for one in (WITHOUT, WITH, other)]
    check("sagemaker", "CreateEndpointConfig", made[1])
    assert len({one["EndpointConfigName"] for one in made}) == 3
    assert [one.get("KmsKeyId") for one in made] == [None, KEY, other.key]


def test_the_function_and_the_notebook() -> None:
    function = WITH.function_request()
    check("lambda", "CreateFunction", {**function, "Code": {"ZipFile": b"zip"}})
    assert function == {**WITHOUT.function_request(), "KMSKeyArn": KEY}
    assert WITHOUT.settings.notebook
    instance = instance_request(WITH, WITHOUT.settings.notebook)
    check("sagemaker", "CreateNotebookInstance", instance)
    assert instance == {**instance_request(WITHOUT, WITHOUT.settings.notebook), "KmsKeyId": KEY}


def test_disks_that_their_own_hardware_encrypts_take_no_key() -> None:
    job = WITH.training_request(ON_DISKS)
    assert job["OutputDataConfig"]["KmsKeyId"] == KEY
    assert "VolumeKmsKeyId" not in job["ResourceConfig"]
    made = [one.endpoint_config_request(ON_DISKS, "m") for one in (WITHOUT, WITH)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("families", "own"),
    [
        ("g4dn g4ad g5 g6 g6e gr6 p3dn p4d p4de p5 p5en m5d m5dn m6id r5d c5d trn1 i3 i4i d3 x2idn z1d", True),
        ("m5 m5n m6i m7i t2 t3 c5 c6i c7i g5g p2 p3 r5 r6i inf1 inf2 m6g", False),
    ],
)
def test_which_types_have_disks_of_their_own(families: str, *, own: bool) -> None:
    wrong = [one for one in families.split() if has_own_disks(f"ml.{one}.xlarge") != own]
    assert wrong == []


def test_the_sentence_about_them() -> None:
    assert without_volume_key(["ml.m5.large", "ml.t2.medium"]) == ""
    said = without_volume_key(["ml.g5.xlarge", "ml.m5.large", "ml.g4dn.xlarge"])
    assert "disks of ml.g4dn.xlarge, ml.g5.xlarge." in said
