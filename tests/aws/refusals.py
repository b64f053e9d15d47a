"""What AWS says to any call that it does not take, in the words of each service.

Sources: "Common errors" of SageMaker's and IAM's API references, S3's "Error responses", EC2's "Error codes for the
Amazon EC2 API", and Lambda's "Common errors".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.aws.wire import Asked, AwsError

_INCLUDED = "The security token included in the request is"


@dataclass(frozen=True)
class Refusal:
    """One reason, as each service says it; `others` is for those that `by_service`, by boto3's names, lacks."""

    others: AwsError
    by_service: Mapping[str, AwsError]

    def __call__(self, asked: Asked) -> AwsError:
        """The error of the service that was asked."""
        return self.by_service.get(asked.service, self.others)


EXPIRED = Refusal(  # the caller's session has ended
    AwsError("ExpiredTokenException", f"{_INCLUDED} expired"),
    {
        "s3": AwsError("ExpiredToken", "The provided token has expired.", 400),
        "iam": AwsError("ExpiredToken", f"{_INCLUDED} expired", 403),
        "sts": AwsError("ExpiredToken", f"{_INCLUDED} expired", 403),
        "ec2": AwsError("RequestExpired", "Request has expired.", 400),
    },
)
UNKNOWN_KEY = Refusal(  # the caller's key was deleted or deactivated
    AwsError("UnrecognizedClientException", f"{_INCLUDED} invalid."),
    {
        "s3": AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        "iam": AwsError("InvalidClientTokenId", f"{_INCLUDED} invalid.", 403),
        "sts": AwsError("InvalidClientTokenId", f"{_INCLUDED} invalid.", 403),
        "lambda": AwsError("UnrecognizedClientException", f"{_INCLUDED} invalid.", 403),
        "ec2": AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    },
)
THROTTLED = Refusal(  # the account makes too many calls
    AwsError("ThrottlingException", "Rate exceeded"),
    {
        "s3": AwsError("SlowDown", "Please reduce your request rate.", 503),
        "iam": AwsError("Throttling", "Rate exceeded"),
        "sts": AwsError("Throttling", "Rate exceeded"),
        "lambda": AwsError("TooManyRequestsException", "Rate Exceeded.", 429),
        "ec2": AwsError("RequestLimitExceeded", "Request limit exceeded.", 503),
    },
)
