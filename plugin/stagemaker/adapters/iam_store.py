"""The policies and the facts that decide on a request, read where LocalStack, moto and the stage keep them.

Everything is read anew for each question, so that a change acts on the next call; only the texts of policies are kept
taken apart, by read_policy. Moto has one IAM for each account: the account of the principal says which one decides for
it, and the account of the resource which one has its policy.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.s3.models import s3_stores
from localstack.services.s3.utils import get_unique_key_id

from stagemaker.access.call import VpcEndpoint
from stagemaker.access.callers import Caller
from stagemaker.access.condition_keys import SOURCE_VPCE
from stagemaker.access.evaluate import Policies
from stagemaker.access.policy import Policy, PolicyError, read_policy
from stagemaker.access.questions import Question
from stagemaker.access.request import Principal
from stagemaker.access.resources import account_of
from stagemaker.adapters.identity_keys import iam_backend
from stagemaker.adapters.vpc_endpoints import s3_gateway
from stagemaker.api.operation import OWN
from stagemaker.app import App
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, SCALABLE_TARGET
from stagemaker.core.refs import Ref, Scope, partition_of
from stagemaker.registry.lookup import repository_of

LOG = logging.getLogger(__name__)
_HOME = "us-east-1"  # under which LocalStack keeps what an account has in all regions
_LATEST = "$LATEST"
# For a policy that cannot be read: what it would refuse is not known.
_REFUSES_ALL = read_policy('{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}')
_REFUSES_ALL_OF_ITS_OWN = read_policy('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}')
_ALLOWS_ALL = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
_GRANTS_NOTHING = read_policy('{"Statement": []}')


class IamStore:
    """A PolicySource and a Lookup. `app` gives the stage, whose records have ECR's policies. Thread-safe as far as
    LocalStack's own stores are: each look is one read of a dictionary."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    def policies(self, caller: Caller, question: Question) -> Policies:
        """Those of the caller, and that of the resource."""
        entity = _entity(caller)
        boundary = _boundary(entity)
        service, action = question.action.split(":", 1)
        is_trust = service == "sts" and action in ("AssumeRole", "TagSession", "SetSourceIdentity")
        text = self._resource_policy(service, question.resource_arn)
        if caller.is_anonymous and service == "s3" and _is_closed(question.resource_arn):
            text = None
        return Policies(
            identity=tuple(_read(text) for text in _identity(caller, entity)),
            boundary=self._managed(caller.principal, boundary) if boundary else None,
            session=_session(caller.session_policies) if caller.has_session_policy else None,
            resource=_read_granting(text) if text is not None else None,
            trust=_trust(question.resource_arn) if is_trust else None,
            endpoint=self._endpoint_policy(caller) if service == "s3" and SOURCE_VPCE in question.context else None,
        )

    def s3_endpoint(self, caller: Caller) -> VpcEndpoint | None:
        """That of the caller's subnet."""
        return s3_gateway(caller.subnet) if caller.subnet else None

    def principal_tags(self, caller: Caller) -> Mapping[str, str]:
        """Those of the session come before those of the role."""
        entity = _entity(caller)
        tags = {tag["Key"]: tag["Value"] for tag in getattr(entity, "tags", None) or ()}
        return {**tags, **dict(caller.session_tags)} if caller.session_tags else tags

    def resource_tags(self, arn: str, account: str) -> Mapping[str, str]:
        """Of the stage's own resources, of buckets, of functions, and of IAM's roles and users."""
        found = self._app().store.find(arn)
        if found is not None:
            return _tags(found[1].get("Tags") or found[1].get("tags"))
        service = arn.split(":", 3)[2] if arn.startswith("arn:") else ""
        if service == "s3":
            region = getattr(_bucket_of(arn), "bucket_region", _HOME)
            return dict(s3_stores[account][region].tags.get_tags(arn.partition("/")[0]))
        if service == "iam":
            return _tags(getattr(_by_arn(arn), "tags", None))
        if service == "lambda":
            region, function_arn = arn.split(":")[3], ":".join(arn.split(":")[:7])
            return dict(lambda_stores[account][region].tags.get_tags(function_arn))
        return {}

    def object_tags(self, bucket: str, key: str, version: str | None) -> Mapping[str, str]:
        """Of the version, or else of the newest."""
        found = _bucket(bucket)
        if found is None:
            return {}
        if version is None:
            version = getattr(found.objects.get(key), "version_id", None)
        tags = s3_stores[found.bucket_account_id][found.bucket_region].tags
        return dict(tags.get_tags(get_unique_key_id(bucket, key, version or "null")))

    def bucket_owner(self, bucket: str) -> str | None:
        """The account."""
        return s3_stores["000000000000"][_HOME].global_bucket_map.get(bucket)

    def has_object(self, bucket: str, key: str) -> bool:
        """Whether a reader would find it."""
        found = _bucket(bucket)
        kept = found.objects.get(key) if found is not None else None
        return kept is not None and type(kept).__name__ != "S3DeleteMarker"

    def iam_path(self, account: str, kind: str, name: str) -> str:
        """As the entity has it."""
        return str(getattr(_named(account, kind, name), "path", None) or "/")

    def iam_boundary(self, account: str, kind: str, name: str) -> str | None:
        """As the entity has it."""
        return _boundary(_named(account, kind, name))

    def scalable_targets(self, endpoint_arn: str) -> Sequence[str]:
        """The ARNs."""
        found = self._app().store.find(endpoint_arn)
        if found is None:
            return ()
        ref, start = found[0], f"endpoint/{found[0].name}/"
        records = self._app().store.everywhere(SCALABLE_TARGET)
        return [
            target.arn
            for target, record in records
            if target.scope == ref.scope and record["ServiceNamespace"] == "sagemaker"
            if str(record["ResourceId"]).startswith(start)
        ]

    def endpoint_config_arn(self, endpoint_arn: str) -> str | None:
        """The ARN."""
        found = self._app().store.find(endpoint_arn)
        if found is None or found[0].kind != ENDPOINT:
            return None
        return Ref(found[0].scope, ENDPOINT_CONFIG, found[1]["EndpointConfigName"]).arn

    def instance_role_arn(self, members: Mapping[str, Any], account: str, region: str) -> str | None:
        """The ARN; None where there is no such profile, or no role in it."""
        partition = partition_of(region).name
        asked = members.get("IamInstanceProfile") or {}
        if not asked and (template := members.get("LaunchTemplate")):
            module: Any = sys.modules.get("moto.ec2.models")
            backend = module.ec2_backends[account][region] if module else None
            try:
                data = backend._get_template_from_args(template).data if backend else {}
            except Exception:  # noqa: BLE001 - EC2 refuses the template itself, in its own words
                return None
            asked = data.get("IamInstanceProfile") or {}
        name = asked.get("Name") or str(asked.get("Arn", "")).rpartition("/")[2]
        found = next((each for each in _profiles(account, partition) if each.name == name), None)
        return str(found.roles[0].arn) if found is not None and found.roles else None

    def repository_arn(self, image_uri: str, account: str, region: str) -> str | None:
        """The ARN, whether or not there is such a repository."""
        settings = self._app().settings.docker
        host = f"localhost:{settings.registry_port}" if settings and settings.registry_url else None
        ref = repository_of(image_uri, host, Scope(account, region))
        return ref.arn if ref is not None else None

    def _managed(self, principal: Principal, arn: str) -> Policy:
        """A permissions boundary. One that has been deleted allows nothing."""
        policy = iam_backend(str(principal.account), arn.split(":")[1]).managed_policies.get(arn)
        return _read(_document(policy)) if policy is not None else _GRANTS_NOTHING

    def _endpoint_policy(self, caller: Caller) -> Policy:
        """Of the endpoint that the request goes through. One that has just been deleted lets nothing through."""
        found = self.s3_endpoint(caller)
        return _read_granting(found.policy) if found is not None else _GRANTS_NOTHING

    def _resource_policy(self, service: str, arn: str) -> str | None:
        """The text of the policy of a bucket, repository or function."""
        if service == "s3":
            return getattr(_bucket_of(arn), "policy", None)
        if service == "ecr":
            found = self._app().store.find(arn)
            return found[1][OWN].get("Policy") if found is not None else None
        return _function_policy(arn) if service == "lambda" else None


def function_policy_text(policy: Any) -> str:
    """The JSON text of a policy of LocalStack's Lambda."""
    return json.dumps({"Version": policy.Version, "Id": policy.Id, "Statement": policy.Statement})


def _function_policy(arn: str) -> str | None:
    """Of the function, or of the version or alias that the ARN names."""
    fields = arn.split(":")
    if len(fields) < 7 or fields[5] != "function":
        return None
    function = lambda_stores[fields[4]][fields[3]].functions.get(fields[6])
    qualifier = fields[7] if len(fields) > 7 else _LATEST
    found = function.permissions.get(qualifier) if function is not None else None
    return function_policy_text(found.policy) if found is not None else None


def _entity(caller: Caller) -> Any:
    """Moto's user or role; None for the root user, a service and nobody."""
    arn = caller.identity_arn or caller.principal.role_arn or caller.principal.arn
    return None if not arn.startswith("arn:") or arn.endswith(":root") else _by_arn(arn)


def _by_arn(arn: str) -> Any:
    fields = arn.split(":", 5)
    kind, _, path = fields[-1].partition("/")
    return _named(fields[4], kind, path.rpartition("/")[2], fields[1])


def _named(account: str, kind: str, name: str, partition: str = "aws") -> Any:
    backend = iam_backend(account, partition)
    if backend is None:
        return None
    if kind == "role":
        return next((role for role in list(backend.roles.values()) if role.name == name), None)
    holder = {"user": "users", "group": "groups", "instance-profile": "instance_profiles"}.get(kind)
    return getattr(backend, holder).get(name) if holder else None


def _profiles(account: str, partition: str) -> list[Any]:
    """The instance profiles of an account."""
    backend = iam_backend(account, partition)
    return list(backend.instance_profiles.values()) if backend else []


def _identity(caller: Caller, entity: Any) -> Iterator[str]:
    """The texts of the inline and managed policies, of a user also those of its groups."""
    if entity is None:
        if caller.identity_arn is not None and caller.identity_arn.endswith(":root"):
            yield _ALLOWS_ALL  # the root user has let somebody act for it, within a session policy
        return
    yield from _attached(entity)
    if caller.principal.role_arn is None:
        backend = iam_backend(str(caller.principal.account), caller.principal.arn.split(":")[1])
        for group in list(backend.groups.values()):
            if entity in group.users:
                yield from _attached(group)


def _attached(entity: Any) -> Iterator[str]:
    yield from list(entity.policies.values())
    yield from (_document(policy) for policy in list(entity.managed_policies.values()))


def _document(policy: Any) -> str:
    """Of the default version of a managed policy."""
    version = policy.default_version_id
    return str(next(each.document for each in policy.versions if each.version_id == version))


def _boundary(entity: Any) -> str | None:
    """Moto keeps the ARN of a role's in one attribute, and LocalStack that of a user's in another."""
    found = getattr(entity, "permissions_boundary_arn", None) or getattr(entity, "permissions_boundary", None)
    return found if isinstance(found, str) else None


def _trust(arn: str) -> Policy:
    """Of a role that is to be assumed. One that there is not trusts nobody."""
    role = _by_arn(arn) if account_of(arn) is not None else None
    if role is None or role.arn != arn:
        return _GRANTS_NOTHING
    return _read_granting(role.assume_role_policy_document)


def _bucket(name: str) -> Any:
    owner = s3_stores["000000000000"][_HOME].global_bucket_map.get(name)
    return s3_stores[owner][_HOME].buckets.get(name) if owner is not None else None


def _bucket_of(arn: str) -> Any:
    """The bucket of an ARN of S3."""
    return _bucket(arn.partition(":::")[2].partition("/")[0])


def _is_closed(arn: str) -> bool:
    """Whether the bucket's policy grants nothing to unsigned requests: RestrictPublicBuckets, which every new bucket
    has."""
    block = getattr(_bucket_of(arn), "public_access_block", None) or {}
    return bool(block.get("RestrictPublicBuckets"))


@lru_cache(maxsize=1024)
def _session(texts: tuple[str, ...]) -> Policy:
    """All session policies as one: each of them can allow. Without any, nothing is allowed."""
    statements: list[Any] = []
    version = "2012-10-17"
    for text in texts:
        policy = _read(text)
        if policy is _REFUSES_ALL_OF_ITS_OWN:
            return policy
        document = json.loads(text)
        version = document.get("Version", "2008-10-17")
        found = document["Statement"]
        statements.extend(found if isinstance(found, list) else [found])
    return read_policy(json.dumps({"Version": version, "Statement": statements}))


def _read(text: str) -> Policy:
    """A policy of a principal."""
    try:
        return read_policy(text)
    except PolicyError as error:
        LOG.warning("a policy that cannot be read refuses everything: %s", error)
        return _REFUSES_ALL_OF_ITS_OWN


def _read_granting(text: str) -> Policy:
    """A policy of a resource or of a VPC endpoint, or a role's trust policy."""
    try:
        return read_policy(text)
    except PolicyError as error:
        LOG.warning("a resource's policy that cannot be read refuses everything: %s", error)
        return _REFUSES_ALL


def _tags(tags: Any) -> dict[str, str]:
    if isinstance(tags, Mapping):
        return {str(name): str(value) for name, value in tags.items()}
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or ()}
