"""Repositories and what is set on them: CreateRepository and its kin, repository policies, tags."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from stagemaker.access.policy import read_policy
from stagemaker.api.operation import OWN, described
from stagemaker.api.tags import MAX_TAGS, RESERVED, has_reserved
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import REPOSITORY
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record
from stagemaker.registry.catalog import Catalog, named, repository_ref
from stagemaker.registry.errors import (
    invalid_at,
    policy_missing,
    repository_exists,
    repository_not_empty,
)
from stagemaker.registry.paging import page, refuse_foreign

LAMBDA_STATEMENT = {  # as Lambda adds it, https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    "Sid": "LambdaECRImageRetrievalPolicy",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}


class Repositories:
    """The operations. `host` is the registry's, as image names begin with it, or None for AWS's own form of it."""

    def __init__(self, catalog: Catalog, host: str | None, clock: Callable[[], float]) -> None:
        self._catalog, self._host, self._clock = catalog, host, clock

    def create_repository(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """A record; nothing is made in the registry before the first push."""
        refuse_foreign(scope, request)
        ref = repository_ref(scope, request["repositoryName"])
        host = self._host or scope.registry
        repository = {
            REPOSITORY.arn_member: ref.arn,
            **named(ref),
            "repositoryUri": f"{host}/{ref.name}",
            "createdAt": self._clock(),
            **_mutability({"imageTagMutability": "MUTABLE", **request}),
            "imageScanningConfiguration": {"scanOnPush": False, **request.get("imageScanningConfiguration", {})},
            "encryptionConfiguration": _encryption(scope, request),
        }
        tags = _merged([], request.get("tags", []))
        store = self._catalog.store
        with store.lock:
            if store.get(ref) is not None:
                raise repository_exists(ref)
            store.put(ref, {**repository, "Tags": tags, OWN: {"Images": {}, "ImageTags": {}}})
        return {"repository": repository}

    def describe_repositories(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """All, by name, or those that are named: one that is not there is an error."""
        names = request.get("repositoryNames")
        if names is not None:
            found = [self._catalog.asked_for(scope, {**request, "repositoryName": name}) for name in names]
            return {"repositories": [described(record) for _, record in found]}
        refuse_foreign(scope, request)
        records = self._catalog.store.all(scope, REPOSITORY)
        shown, more = page({record[REPOSITORY.name_member]: described(record) for record in records}, request)
        return {"repositories": shown, **more}

    def delete_repository(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """With its images when `force` is set."""
        ref, _ = self._catalog.asked_for(scope, request)
        with self._catalog.alone(ref):
            record = self._catalog.repository(ref)
            if digests := record[OWN]["Images"]:
                if not request.get("force"):
                    raise repository_not_empty(ref)
                self._catalog.remove(ref, digests)
            self._catalog.store.delete(ref)
        return {"repository": described(record)}

    def put_image_tag_mutability(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """For pushes from now on."""
        rule = _mutability(request)
        with self._catalog.store.lock:
            ref, record = self._catalog.asked_for(scope, request)
            kept = {key: value for key, value in record.items() if key != "imageTagMutabilityExclusionFilters"}
            self._catalog.store.put(ref, {**kept, **rule})
        return {**named(ref), **rule}

    def put_image_scanning_configuration(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Recorded only: StartImageScan and its kin are not implemented."""
        rule = {"imageScanningConfiguration": {"scanOnPush": False, **request["imageScanningConfiguration"]}}
        with self._catalog.store.lock:
            ref, _ = self._catalog.asked_for(scope, request)
            self._catalog.store.update(ref, **rule)
        return {**named(ref), **rule}

    def set_repository_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Who may do what with the repository's images, beside their own policies."""
        ref, _ = self._catalog.asked_for(scope, request)
        _check_policy(request["policyText"])
        self._catalog.keep(ref, Policy=request["policyText"])
        return {**named(ref), "policyText": request["policyText"]}

    def let_lambda_pull(self, scope: Scope, name: str) -> None:
        """Add the statement that Lambda adds for a function of the same account; nothing for a missing repository."""
        ref = repository_ref(scope, name)
        with self._catalog.store.lock:
            record = self._catalog.store.get(ref)
            if record is not None:
                self._catalog.keep(ref, Policy=with_lambda(record[OWN].get("Policy")))

    def get_repository_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """As it was set."""
        ref, record = self._catalog.asked_for(scope, request)
        text = record[OWN].get("Policy")
        if text is None:
            raise policy_missing(ref, "Repository")
        return {**named(ref), "policyText": text}

    def delete_repository_policy(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Answers what was deleted."""
        with self._catalog.store.lock:
            deleted = self.get_repository_policy(scope, request)
            self._catalog.keep(repository_ref(scope, request["repositoryName"]), Policy=None)
        return deleted

    def tag_resource(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Set tags; a key that is there gets the new value."""
        with self._catalog.store.lock:
            ref, record = self._by_arn(scope, request["resourceArn"])
            self._catalog.store.update(ref, Tags=_merged(record["Tags"], request["tags"]))
        return {}

    def untag_resource(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """Keys that are not there are no error."""
        with self._catalog.store.lock:
            ref, record = self._by_arn(scope, request["resourceArn"])
            tags = [tag for tag in record["Tags"] if tag["Key"] not in request["tagKeys"]]
            self._catalog.store.update(ref, Tags=tags)
        return {}

    def list_tags_for_resource(self, scope: Scope, request: dict[str, Any]) -> dict[str, Any]:
        """All of them."""
        return {"tags": self._by_arn(scope, request["resourceArn"])[1]["Tags"]}

    def describe_registry(self, scope: Scope, _request: dict[str, Any]) -> dict[str, Any]:
        """Replication is not implemented, so there is none."""
        return {"registryId": scope.account, "replicationConfiguration": {"rules": []}}

    def _by_arn(self, scope: Scope, arn: str) -> tuple[Ref, Record]:
        name = arn.removeprefix(repository_ref(scope, "").arn)
        if name == arn:
            raise invalid_at("resourceArn", "Invalid ARN")
        ref = repository_ref(scope, name)
        return ref, self._catalog.repository(ref)


def _mutability(request: dict[str, Any]) -> dict[str, Any]:
    rule, filters = request["imageTagMutability"], request.get("imageTagMutabilityExclusionFilters")
    if rule.endswith("_WITH_EXCLUSION") != bool(filters):
        fault = "must be null" if filters else "can't be null"
        sentence = f"ImageTagMutabilityExclusionFilters {fault} when imageTagMutability is set as {rule}"
        raise invalid_at("imageTagMutabilityExclusionFilters", sentence)
    return {"imageTagMutability": rule, **({"imageTagMutabilityExclusionFilters": filters} if filters else {})}


def _encryption(scope: Scope, request: dict[str, Any]) -> dict[str, str]:
    """As it is answered; nothing is encrypted. Without a key's name KMS takes one of AWS's own for the account."""
    given = request.get("encryptionConfiguration", {"encryptionType": "AES256"})
    if given["encryptionType"] != "AES256":
        return {"kmsKey": scope.arn("kms", f"key/{uuid.uuid5(uuid.NAMESPACE_DNS, scope.arn('ecr', 'key'))}"), **given}
    if "kmsKey" in given:
        raise invalid_at("encryptionConfiguration.kmsKey", "must be null when encryptionType is AES256")
    return {"encryptionType": "AES256"}


def _merged(old: list[dict[str, str]], new: list[dict[str, str]]) -> list[dict[str, str]]:
    if has_reserved(new):
        raise ApiError("InvalidTagParameterException", RESERVED)
    values = {tag["Key"]: tag["Value"] for tag in [*old, *new]}
    if len(values) > MAX_TAGS:
        raise ApiError("TooManyTagsException", f"A repository takes at most {MAX_TAGS} tags.")
    return [{"Key": key, "Value": value} for key, value in values.items()]


def with_lambda(policy: str | None) -> str:
    """A repository's policy, with the statement that lets Lambda pull; it replaces an earlier one of its name."""
    document: dict[str, Any] = json.loads(policy) if policy else {"Version": "2008-10-17"}
    found = document.get("Statement", [])
    statements = found if isinstance(found, list) else [found]
    others = [statement for statement in statements if statement.get("Sid") != LAMBDA_STATEMENT["Sid"]]
    return json.dumps({**document, "Statement": [*others, LAMBDA_STATEMENT]})


def _check_policy(text: str) -> None:
    try:
        policy = json.loads(text)
        statements = policy["Statement"]
        listed = statements if isinstance(statements, list) else [statements]
        good = bool(listed) and all({"Effect", "Principal"} <= item.keys() for item in listed)
        read_policy(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise invalid_at("PolicyText", "Invalid repository policy provided")
