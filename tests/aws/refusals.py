"""What AWS says to any call that it does not take, in the words of each service.

Sources: "Common errors" of SageMaker's and IAM's API references, S3's "Error responses", EC2's "Error codes for the
Amazon EC2 API", and Lambda's "Common errors".
"""

from tests.aws.wire import Asked, AwsError

_INCLUDED = "The security token included in the request is"


def expired(asked: Asked) -> AwsError:
    """The caller's session has ended."""
    return {
        "s3": AwsError("ExpiredToken", "The provided token has expired.", 400),
        "iam": AwsError("ExpiredToken", f"{_INCLUDED} expired", 403),
        "sts": AwsError("ExpiredToken", f"{_INCLUDED} expired", 403),
        "lambda": AwsError("ExpiredTokenException", f"{_INCLUDED} expired", 403),
        "ec2": AwsError("RequestExpired", "Request has expired.", 400),
    }.get(asked.service, AwsError("ExpiredTokenException", f"{_INCLUDED} expired"))


def unknown_key(asked: Asked) -> AwsError:
    """The caller's key was deleted or deactivated."""
    return {
        "s3": AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        "iam": AwsError("InvalidClientTokenId", f"{_INCLUDED} invalid.", 403),
        "sts": AwsError("InvalidClientTokenId", f"{_INCLUDED} invalid.", 403),
        "lambda": AwsError("UnrecognizedClientException", f"{_INCLUDED} invalid.", 403),
        "ec2": AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    }.get(asked.service, AwsError("UnrecognizedClientException", f"{_INCLUDED} invalid."))


def throttled(asked: Asked) -> AwsError:
    """The account makes too many calls."""
    return {
        "s3": AwsError("SlowDown", "Please reduce your request rate.", 503),
        "iam": AwsError("Throttling", "Rate exceeded"),
        "sts": AwsError("Throttling", "Rate exceeded"),
        "lambda": AwsError("TooManyRequestsException", "Rate Exceeded.", 429),
        "ec2": AwsError("RequestLimitExceeded", "Request limit exceeded.", 503),
    }.get(asked.service, AwsError("ThrottlingException", "Rate exceeded"))
