"""Why the credentials of a request are refused, and how AWS says it in each protocol. Pure.

Sources: "Common errors" of each service's API reference; the sentences are those that the services answer, as AWS's
SDKs and forums quote them.
"""

from collections.abc import Mapping
from enum import Enum, auto

from stagemaker.core.errors import ApiError


class Fault(Enum):
    """What is wrong."""

    UNSIGNED = auto()
    INCOMPLETE = auto()  # the signature's parts cannot be read
    UNKNOWN_KEY = auto()
    WRONG_TOKEN = auto()
    EXPIRED_TOKEN = auto()
    MISMATCH = auto()  # the signature is not that of this request and this secret
    WRONG_SCOPE = auto()  # signed for another service or region
    TOO_OLD = auto()  # or too new: it was signed at another time
    EXPIRED_URL = auto()
    UNSIGNED_HEADER = auto()
    OTHER_CONTENT = auto()  # the body is not the one that was signed
    TWO_SIGNATURES = auto()
    OTHER_MECHANISM = auto()  # of AWS, which its service does not take
    NOT_SUPPORTED = auto()  # of AWS, which we do not implement


class CredentialsRefused(Exception):
    """`message` is the sentence for the caller; empty: the usual one of the fault."""

    def __init__(self, fault: Fault, message: str = "") -> None:
        super().__init__(f"{fault.name}: {message}")
        self.fault, self.message = fault, message


MISMATCH_S3 = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_ONE_MECHANISM = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)
_CONTENT = "The provided 'x-amz-content-sha256' header does not match what was computed."

# Code, status and usual sentence. S3's.
_S3: Mapping[Fault, tuple[str, int, str]] = {
    Fault.UNSIGNED: ("AccessDenied", 403, "Access Denied"),
    Fault.INCOMPLETE: ("AuthorizationHeaderMalformed", 400, "The authorization header that you provided is not valid."),
    Fault.UNKNOWN_KEY: ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
    Fault.WRONG_TOKEN: ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    Fault.EXPIRED_TOKEN: ("ExpiredToken", 400, "The provided token has expired."),
    Fault.MISMATCH: ("SignatureDoesNotMatch", 403, MISMATCH_S3),
    Fault.WRONG_SCOPE: ("AuthorizationHeaderMalformed", 400, "The authorization header is malformed."),
    Fault.TOO_OLD: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    Fault.EXPIRED_URL: ("AccessDenied", 403, "Request has expired"),
    Fault.UNSIGNED_HEADER: (
        "AccessDenied",
        403,
        "There were headers present in the request which were not signed",
    ),
    Fault.OTHER_CONTENT: ("XAmzContentSHA256Mismatch", 400, _CONTENT),
    Fault.TWO_SIGNATURES: ("InvalidArgument", 400, _ONE_MECHANISM),
    Fault.OTHER_MECHANISM: (
        "InvalidRequest",
        400,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ),
    Fault.NOT_SUPPORTED: ("NotImplemented", 501, ""),
}
# Of the query protocol, and what the others call differently.
_QUERY: Mapping[Fault, tuple[str, int, str]] = {
    Fault.UNSIGNED: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    Fault.INCOMPLETE: ("IncompleteSignature", 403, ""),
    Fault.UNKNOWN_KEY: ("InvalidClientTokenId", 403, _INVALID),
    Fault.WRONG_TOKEN: ("InvalidClientTokenId", 403, _INVALID),
    Fault.EXPIRED_TOKEN: ("ExpiredToken", 403, _EXPIRED),
    Fault.MISMATCH: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Fault.WRONG_SCOPE: ("SignatureDoesNotMatch", 403, ""),
    Fault.TOO_OLD: ("SignatureDoesNotMatch", 403, ""),
    Fault.EXPIRED_URL: ("SignatureDoesNotMatch", 403, ""),
    Fault.UNSIGNED_HEADER: ("SignatureDoesNotMatch", 403, ""),
    Fault.OTHER_CONTENT: ("SignatureDoesNotMatch", 403, _MISMATCH),
    Fault.TWO_SIGNATURES: ("IncompleteSignature", 403, _ONE_MECHANISM),
    Fault.OTHER_MECHANISM: ("IncompleteSignature", 403, ""),
    Fault.NOT_SUPPORTED: ("NotImplemented", 501, ""),
}
_JSON_CODES = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "NotImplemented": "NotImplementedException",
}


def credentials_error(refused: CredentialsRefused, service: str, protocol: str) -> ApiError:
    """What AWS answers. `service` and `protocol` are botocore's names: `s3`; `json`, `query`, `rest-json`..."""
    if service == "s3":
        code, status, sentence = _S3[refused.fault]
        return ApiError(code, refused.message or sentence, status)
    code, status, sentence = _QUERY[refused.fault]
    if protocol not in ("query", "ec2", "rest-xml"):
        code = _JSON_CODES[code]
        if protocol != "rest-json" and status < 500:
            status = 400
    return ApiError(code, refused.message or sentence, status)
