"""Why AWS does not take the caller's credentials, in a sentence, and what to do next.

boto3 finds credentials: from the environment, a profile (its keys, SSO, a role to assume with or without MFA), or the
host. Here its errors, and AWS's own, become advice. No secret is ever in them.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import StepFailed

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_NOT_ACCEPTED = {
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignatureException",
    "InvalidToken", "MissingAuthenticationToken", "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_FILES = (
    exceptions.ConfigNotFound, exceptions.ConfigParseError, exceptions.CredentialRetrievalError,
    exceptions.InvalidConfigError, exceptions.PartialCredentialsError, exceptions.UnknownCredentialError,
)  # fmt: skip
_NETWORK = (exceptions.ConnectionError, exceptions.HTTPClientError)


def explain(error: Exception, environ: Mapping[str, str]) -> StepFailed | None:
    """What the reader is told of an error that is about credentials or the way to AWS; None for any other."""
    profile = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or ""
    named = f" --profile {profile}" if profile else ""
    renew = f"Renew them: aws sso login{named}, aws login{named}, or new keys. Then run this again: it goes on."
    if isinstance(error, ClientError):
        return _of_aws(error, renew, named)
    if isinstance(error, exceptions.NoCredentialsError):
        how = (
            f"Log in: aws sso login{named}, aws login{named}, or aws configure. Then name the profile: AWS_PROFILE=..."
        )
        return StepFailed("No AWS credentials were found.", how)
    if isinstance(error, exceptions.ProfileNotFound):
        return StepFailed(f"{error}.", "List the profiles: aws configure list-profiles. Then choose: AWS_PROFILE=...")
    if isinstance(error, exceptions.SSOError | exceptions.TokenRetrievalError | exceptions.NoAuthTokenError):
        return StepFailed(_sentence(error), f"Log in again: aws sso login{named}. Then run this again: it goes on.")
    if isinstance(error, exceptions.LoginError):
        return StepFailed(_sentence(error), f"Log in again: aws login{named}. Then run this again: it goes on.")
    if isinstance(error, exceptions.RefreshWithMFAUnsupportedError):
        return StepFailed("The session that you opened with an MFA code has ended.", "Run this again, with a new code.")
    if isinstance(error, EOFError):
        return StepFailed(
            "The profile asks for an MFA code, and there is no terminal to ask at.",
            "Run this at a terminal, or set AWS_SESSION_TOKEN and its keys: aws sts get-session-token",
        )
    if isinstance(error, _FILES):
        return StepFailed(_sentence(error), "Mend the profile: aws configure list shows what is read.")
    if isinstance(error, _NETWORK) and _is_of_aws(str(error.kwargs.get("endpoint_url", ""))):
        return StepFailed(_sentence(error), "Is there a network, and is the region's name right? Then run this again.")
    return None


def _of_aws(error: ClientError, renew: str, named: str) -> StepFailed | None:
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", "")).rstrip(".")
    # AWS says of a signature that is too old either what it is, or this (both of an expired clock).
    if code in _CLOCK or (code in _NOT_ACCEPTED and message.startswith("Signature expired")):
        return StepFailed(f"AWS says: {message}.", "Set this machine's clock, and run this again.")
    if code in EXPIRED:
        return StepFailed(f"The AWS credentials have expired ({code}: {message}).", renew)
    if code in _NOT_ACCEPTED:
        return StepFailed(
            f"AWS does not accept the credentials ({code}: {message}).",
            f"Are they of this partition, and is the region enabled for them? aws sts get-caller-identity{named}",
        )
    if error.operation_name == "AssumeRole":
        return StepFailed(
            f"The role of the profile cannot be assumed ({code}: {message}).",
            "Does its trust policy allow you, and do you need an MFA code (mfa_serial in the profile)?",
        )
    return None


def _is_of_aws(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _sentence(error: BotoCoreError) -> str:
    return f"{str(error).rstrip('.')}."
