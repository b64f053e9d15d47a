"""Resources that requests name by addresses, read as LocalStack reads them: what is asked about is what is used."""

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

_FUNCTION = re.compile(
    r"(arn:(aws[a-zA-Z-]*):lambda:)?((?P<region>[a-z]{2}(-gov)?-[a-z]+-\d{1}):)?(?:(?P<account>\d{12}):)?(function:)?"
    r"(?P<name>[a-zA-Z0-9-_\.]+)(:(?P<qualifier>\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)


def copy_source(source: Any) -> tuple[str, str, str | None] | None:
    """The bucket, the key and the version of x-amz-copy-source, or None for what S3 refuses."""
    if not isinstance(source, str):
        return None
    parsed = urlparse(source)
    bucket, slash, key = unquote(parsed.path.replace("+", " ")).lstrip("/").partition("/")
    return (bucket, key, parse_qs(parsed.query).get("versionId", [None])[0]) if slash else None


def function_parts(name: str) -> tuple[str | None, str | None, str, str | None]:
    """The region, the account, the name and the qualifier of a function's name, partial or whole ARN."""
    found = _FUNCTION.match(name)  # LocalStack does not look at what comes behind it
    return (found["region"], found["account"], found["name"], found["qualifier"]) if found else (None, None, name, None)


def queue_parts(url: str) -> tuple[str | None, str | None, str] | None:
    """The region, the account and the name of a queue's address, or None for what is none."""
    parsed = urlparse(url.rstrip("/"))
    path, domain = parsed.path.lstrip("/").split("/"), parsed.netloc.split(".")
    if len(path) not in (2, 4) or (len(path) == 4 and path[0] != "queue"):
        return None
    region = path[1] if len(path) == 4 else None
    if region is None and len(domain) > 1 and domain[0] == "sqs":
        region = domain[1]
    elif region is None and len(domain) > 1 and domain[1] == "queue":
        region = domain[0]
    elif region is None and parsed.netloc.startswith("queue"):
        region = "us-east-1"
    return region, path[-2], path[-1]
