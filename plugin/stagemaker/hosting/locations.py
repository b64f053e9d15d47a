"""Pure: where an endpoint configuration may have things written."""

from stagemaker.core.errors import validation_error


def check_location(member: str, uri: str) -> None:
    """ValidationException, which names the member, for what is not `s3://bucket/prefix`; the prefix may be empty."""
    scheme, _, rest = uri.partition("://")
    if scheme != "s3" or not rest.partition("/")[0]:
        raise validation_error(f"{member} must be given as s3://bucket/prefix, not as {uri}.")
