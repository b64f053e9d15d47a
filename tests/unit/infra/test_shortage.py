from botocore.exceptions import ClientError

from infra import shortage


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateTrainingJob")


def test_a_quota_is_named_with_its_code_and_how_to_ask_for_more() -> None:
    message = "The account-level service limit 'ml.g4dn.xlarge for training job usage' is 0 Instances."
    problem = shortage.of_refusal(refused("ResourceLimitExceeded", message), "ml.g4dn.xlarge", "eu-west-1")
    assert problem is not None
    assert "ml.g4dn.xlarge for training job usage (L-3F53BF0F)" in problem.reason
    assert "ml.g5.xlarge" in problem.next_step
    assert "--quota-code L-3F53BF0F" in problem.evidence[0]
    assert "--region eu-west-1" in problem.evidence[0]


def test_another_refusal_is_none_of_a_quota() -> None:
    assert shortage.of_refusal(refused("ValidationException", "no"), "ml.m5.large", "eu-west-1") is None


def test_missing_machines_name_the_types_to_try() -> None:
    reason = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different type."
    problem = shortage.of_failure(reason, "ml.g4dn.xlarge")
    assert problem is not None
    assert "AWS has no ml.g4dn.xlarge to give now" in problem.reason
    assert "ml.g5.xlarge" in problem.next_step
    assert shortage.of_failure("AlgorithmError: exit code 1", "ml.g4dn.xlarge") is None
