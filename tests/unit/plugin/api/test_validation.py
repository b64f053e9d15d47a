"""Validation against botocore's model, with AWS's words."""

import time
from typing import Any

import pytest
from localstack.aws.spec import load_service

from stagemaker.adapters import service_models
from stagemaker.api.validation import compiled, validate, violations
from stagemaker.core.errors import ApiError

service_models.install()
SAGEMAKER, ECR, RUNTIME = load_service("sagemaker"), load_service("ecr"), load_service("sagemaker-runtime")
TRAINING = SAGEMAKER.operation_model("CreateTrainingJob").input_shape


def request(**changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "job",
        "RoleArn": "arn:aws:iam::123456789012:role/stage",
        "AlgorithmSpecification": {"TrainingImage": "stagemaker/trainer", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        **changes,
    }


def refusal(**changes: Any) -> str:
    with pytest.raises(ApiError) as caught:
        validate(TRAINING, request(**changes))
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    return caught.value.message


def test_a_good_request_passes() -> None:
    validate(TRAINING, request(HyperParameters={"epochs": "3"}))


def test_an_operation_without_input_passes() -> None:
    validate(None, {})


def test_a_missing_member_is_named() -> None:
    assert refusal(AlgorithmSpecification={"TrainingImage": "x"}) == (
        "1 validation error detected: Value null at 'algorithmSpecification.trainingInputMode' failed to satisfy "
        "constraint: Member must not be null"
    )


def test_a_wrong_type_is_named() -> None:
    assert "HyperParameters" in refusal(HyperParameters={"epochs": 3})


@pytest.mark.parametrize("name", ["under_score", "-job", "job-", "a" * 64, "jöb", "job\n"])
def test_a_name_that_aws_would_not_take(name: str) -> None:
    assert "at 'trainingJobName' failed to satisfy constraint" in refusal(TrainingJobName=name)


def test_a_value_that_is_too_long_costs_no_time() -> None:
    """The regex package holds the interpreter's lock: LocalStack as a whole would stand still."""
    shape = ECR.operation_model("CreateRepository").input_shape
    started = time.monotonic()
    with pytest.raises(ApiError, match=r"1 validation error detected: .* length less than or equal to 256"):
        validate(shape, {"repositoryName": "a/" * 50_000 + "!"})
    assert time.monotonic() - started < 5


def test_a_pattern_has_an_end() -> None:
    shape = SAGEMAKER.shape_for("RepositoryUrl")
    started = time.monotonic()
    assert [*violations(shape, "https://" + "a" * 1000 + "!")]
    assert time.monotonic() - started < 10


def test_an_empty_name() -> None:
    message = refusal(TrainingJobName="")
    assert message.startswith(
        "2 validation errors detected: Value '' at 'trainingJobName' failed to satisfy constraint"
    )
    assert "Member must have length greater than or equal to 1" in message


def test_the_message_is_that_of_aws() -> None:
    assert refusal(TrainingJobName="a_b") == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


@pytest.mark.parametrize(
    ("operation", "members", "sentence"),
    [
        (
            "CreateRepository",
            {"repositoryName": "Dogs"},
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
            r"'[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*''",
        ),
        (
            "CreateRepository",
            {"repositoryName": "a"},
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
            "'must have length greater than or equal to 2'",
        ),
        (
            "CreateRepository",
            {},
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must not be null'",
        ),
        (
            "DescribeRepositories",
            {"maxResults": 0, "registryId": "x"},
            "Invalid parameter at 'registryId' failed to satisfy constraint: 'must satisfy regular expression "
            "'[0-9]{12}''",
        ),
        (
            "CreateRepository",
            {"repositoryName": "dogs", "imageTagMutability": "SOME"},
            "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value "
            "set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'",
        ),
    ],
)
def test_ecr_has_words_of_its_own(operation: str, members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        validate(ECR.operation_model(operation).input_shape, members, "InvalidParameterException")
    assert (caught.value.code, caught.value.message) == ("InvalidParameterException", sentence)


def test_every_error_is_named_with_its_place() -> None:
    message = refusal(
        Tags=[{"Key": "k", "Value": "v"}, {"Key": "#", "Value": "v" * 257}],
        Environment={"1BAD": "x"},
        ResourceConfig={"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )
    for place in ("'tags.2.member.key'", "'tags.2.member.value'", "'environment.1BAD.key'"):
        assert place in message
    assert "at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum value" in message


def test_the_longest_body_of_an_invocation_is_aws_s() -> None:
    shape = RUNTIME.operation_model("InvokeEndpoint").input_shape
    validate(shape, {"EndpointName": "e", "Body": b"x" * 6_291_456})
    with pytest.raises(ApiError) as caught:
        validate(shape, {"EndpointName": "e", "Body": b"x" * 6_291_457}, "ValidationError")
    assert caught.value.code == "ValidationError"
    assert "xx" not in caught.value.message


@pytest.mark.parametrize("service", [SAGEMAKER, RUNTIME, ECR], ids=["sagemaker", "sagemaker-runtime", "ecr"])
def test_every_pattern_of_the_models_can_be_read(service: Any) -> None:
    patterns = {service.shape_for(name).metadata.get("pattern") for name in service.shape_names} - {None}
    assert patterns
    for pattern in patterns:
        compiled(pattern)


def test_unicode_classes_are_java_s() -> None:
    tag = SAGEMAKER.shape_for("TagKey")
    assert not list(violations(tag, "Größe: 犬"))
    assert list(violations(tag, "a#b"))


@pytest.mark.parametrize(
    ("pattern", "taken", "refused"),
    [
        (r"\d+", "12", "\u0661\u0662"),  # Arabic digits
        (r"[\w-]+", "a-1_", "\u00e9"),
        (r"[\S]+", "a\u00a0b", "a b"),  # a no-break space is no space of Java's
        (r"\p{Alnum}+", "a1", "\u00e9"),
        (r"\\d", "\\d", "1"),
        (r"[^\d]", "\u0661", "1"),
        (r"a{1,2}\z", "aa", "aa\n"),
    ],
)
def test_digits_letters_and_spaces_of_a_pattern_are_those_of_ascii(pattern: str, taken: str, refused: str) -> None:
    assert compiled(pattern).fullmatch(taken)
    assert not compiled(pattern).fullmatch(refused)


def test_an_account_of_other_digits_is_refused() -> None:
    arn = "arn:aws:iam::\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660\u0661\u0662:role/stage"
    assert "at 'roleArn' failed to satisfy constraint" in refusal(RoleArn=arn)
