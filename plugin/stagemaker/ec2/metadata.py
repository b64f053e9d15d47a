"""The instance metadata service, which answers at 169.254.169.254 within a host. Pure.

Source: "Instance metadata categories" and "Use IMDSv2" of the EC2 user guide. What a request asks for is looked up in a
tree of texts, which the view of the instance makes.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError

MAX_TTL_S = 21_600
_TTL, _TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
_VERSIONS = ("latest", "2021-07-15", "2016-09-02", "2009-04-04", "1.0")
_BYTES = "application/octet-stream"
_SECURITY = "meta-data/iam/security-credentials"


@dataclass(frozen=True)
class Profile:
    """The instance profile, and its role."""

    arn: str
    id: str
    role_name: str
    role_arn: str


@dataclass(frozen=True)
class Options:
    """MetadataOptions."""

    is_enabled: bool = True
    needs_token: bool = False
    hop_limit: int = 1
    shows_tags: bool = False


@dataclass(frozen=True)
class InstanceView:
    """What the records say of an instance now."""

    id: str
    account: str
    region: str
    ami_id: str
    instance_type: str
    zone: str
    private_ip: str
    private_dns: str
    reservation_id: str
    state: str
    launched_s: float
    is_spot: bool = False
    shutdown_behavior: str = "stop"
    user_data: bytes = b""
    architecture: str = "x86_64"
    security_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Options = Options()
    profile: Profile | None = None


@dataclass(frozen=True)
class Asked:
    """A request: its path begins with the version. `hops` is how far it came: 2 from a container of the host."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    hops: int = 1


@dataclass(frozen=True)
class Told:
    """The answer. It `is_lost` where its hop limit ends it on the way."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_lost: bool = False


@dataclass(frozen=True)
class Notice:
    """Of a spot interruption: the moment at which the instance is to be terminated."""

    at_s: float


def answer(
    view: InstanceView,
    asked: Asked,
    now_s: float,
    secret: bytes,
    notice: Notice | None,
    credentials: Callable[[], Credentials],
) -> Told:
    """`secret` signs the tokens of the instance. `credentials` are its role's: ApiError where EC2 may not assume it."""
    if not view.options.is_enabled:
        return _refused(403)
    version, _, rest = asked.path.strip("/").partition("/")
    if asked.method == "PUT":
        return _new_token(view, asked, now_s, secret) if rest == "api/token" else _refused(405)
    if asked.method not in ("GET", "HEAD"):
        return _refused(405)
    token = asked.headers.get(_TOKEN)
    if token is None and view.options.needs_token:
        return _refused(401)
    if token is not None and not _is_good(token, now_s, secret):
        return _refused(401)
    if version not in _VERSIONS:
        return _text("\n".join(reversed(_VERSIONS))) if not version else _refused(404)
    if view.profile and rest == f"{_SECURITY}/{view.profile.role_name}":
        return _json(_credentials(credentials, now_s))
    if rest == "user-data":
        return Told(200, view.user_data, {"Content-Type": _BYTES}) if view.user_data else _refused(404)
    return _listed(_tree(view, notice, now_s), rest)


def _new_token(view: InstanceView, asked: Asked, now_s: float, secret: bytes) -> Told:
    ttl = asked.headers.get(_TTL, "")
    if "x-forwarded-for" in asked.headers:
        return _refused(403)
    if not (ttl.isascii() and ttl.isdecimal()) or not 1 <= int(ttl) <= MAX_TTL_S:
        return _refused(400)
    if asked.hops > view.options.hop_limit:
        return Told(200, is_lost=True)
    ends = str(int(now_s) + int(ttl))
    token = base64.urlsafe_b64encode(f"{ends}.".encode() + _signature(ends, secret)).decode()
    return _text(token, {_TTL: ttl})


def _is_good(token: str, now_s: float, secret: bytes) -> bool:
    try:
        ends, _, signature = base64.urlsafe_b64decode(token.encode()).partition(b".")
        return hmac.compare_digest(signature, _signature(ends.decode(), secret)) and now_s < int(ends)
    except ValueError:
        return False


def _signature(text: str, secret: bytes) -> bytes:
    return hmac.digest(secret, text.encode(), hashlib.sha256)


def _tree(view: InstanceView, notice: Notice | None, now_s: float) -> dict[str, str]:
    """The texts by their paths, without the version."""
    groups = "\n".join(view.security_groups)
    tree = {
        "ami-id": view.ami_id,
        "ami-launch-index": "0",
        "hostname": view.private_dns,
        "instance-action": "none",
        "instance-id": view.id,
        "instance-life-cycle": "spot" if view.is_spot else "on-demand",
        "instance-type": view.instance_type,
        "local-hostname": view.private_dns,
        "local-ipv4": view.private_ip,
        "placement/availability-zone": view.zone,
        "placement/region": view.region,
        "reservation-id": view.reservation_id,
        "security-groups": groups,
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
    }
    if view.profile:
        info = {
            "Code": "Success",
            "LastUpdated": moment(now_s),
            "InstanceProfileArn": view.profile.arn,
            "InstanceProfileId": view.profile.id,
        }
        tree["iam/info"] = json.dumps(info, indent=2)
        tree[f"iam/security-credentials/{view.profile.role_name}"] = ""
    if notice:
        tree["spot/instance-action"] = json.dumps({"action": "terminate", "time": moment(notice.at_s)})
        tree["spot/termination-time"] = moment(notice.at_s)
    if view.options.shows_tags:
        tree.update({f"tags/instance/{key}": value for key, value in view.tags.items()})
    document = json.dumps(_document(view), indent=2)
    return {
        **{f"meta-data/{name}": text for name, text in tree.items()},
        "dynamic/instance-identity/document": document,
    }


def _document(view: InstanceView) -> dict[str, Any]:
    return {
        "accountId": view.account,
        "architecture": view.architecture,
        "availabilityZone": view.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": view.ami_id,
        "instanceId": view.id,
        "instanceType": view.instance_type,
        "kernelId": None,
        "pendingTime": moment(view.launched_s),
        "privateIp": view.private_ip,
        "ramdiskId": None,
        "region": view.region,
        "version": "2017-09-30",
    }


def _listed(tree: Mapping[str, str], path: str) -> Told:
    """The text at the path, or what lies below it: folders end with a slash."""
    if path in tree:
        return _text(tree[path])
    folder = f"{path.rstrip('/')}/" if path else ""
    below = [name.removeprefix(folder) for name in tree if name.startswith(folder)]
    if not below:
        return _refused(404)
    names = {f"{first}/" if rest else first for first, _, rest in (name.partition("/") for name in below)}
    return _text("\n".join(sorted(names)))


def _credentials(credentials: Callable[[], Credentials], now_s: float) -> dict[str, str]:
    try:
        found = credentials()
    except ApiError as error:
        return {"Code": "AssumeRoleUnauthorizedAccess", "Message": error.message, "LastUpdated": moment(now_s)}
    return {
        "Code": "Success",
        "LastUpdated": moment(now_s),
        "Type": "AWS-HMAC",
        "AccessKeyId": found.access_key_id,
        "SecretAccessKey": found.secret_access_key,
        "Token": found.token,
        "Expiration": moment(found.expiration_s),
    }


def moment(time_s: float) -> str:
    """As the service writes it."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(content: Mapping[str, Any]) -> Told:
    return _text(json.dumps(content, indent=2))


def _text(text: str, headers: Mapping[str, str] | None = None) -> Told:
    return Told(200, text.encode(), {"Content-Type": "text/plain", **(headers or {})})


def _refused(status: int) -> Told:
    return Told(status, b"", {"Content-Type": "text/html"})
