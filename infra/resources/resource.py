"""The interface of a resource: what is there, what differs from what is wanted, and the calls that make them agree."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

State = Mapping[str, Any]
_MAX_SHOWN = 100  # characters of a value
_MISSING = {
    "404",
    "ImageNotFoundException",
    "LifecyclePolicyNotFoundException",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchKey",
    "NoSuchEntity",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "ObjectNotFoundException",
    "OwnershipControlsNotFoundError",
    "ParameterNotFound",
    "ProvisionedConcurrencyConfigNotFoundException",
    "RepositoryNotFoundException",
    "RepositoryPolicyNotFoundException",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ServerSideEncryptionConfigurationNotFoundError",
    "ValidationException",
}


@dataclass(frozen=True)
class Change:
    """A member that differs from what is wanted. `replaces`: it cannot be changed, so the resource is made anew."""

    member: str
    old: Any
    new: Any
    replaces: bool = False

    def __str__(self) -> str:
        member, old, new = self.member, self.old, self.new
        while isinstance(old, Mapping) and isinstance(new, Mapping):  # down to the one part that differs
            different = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            if len(different) != 1:
                break
            member, old, new = f"{member}.{different[0]}", old.get(different[0]), new.get(different[0])
        return f"{member}: {_shown(old)} -> {_shown(new)}"


class Resource(ABC):
    """One resource, as it is wanted. `title` says what it is, `name` is AWS's; `depends_on` are the titles of what must
    be there before it. One that is not wanted (`is_wanted`) is deleted where it is there. `holds` says what a person
    would lose with it, such as photos; it is empty for what a deployment makes again. AWS may hold on to it for
    `held_limit_s` after all that used it is gone. Its methods run in the thread of a step, wait by `infra.wait.pause`
    alone, and may raise StepFailed, or botocore's errors."""

    title: str
    name: str
    depends_on: tuple[str, ...] = ()
    is_wanted: bool = True
    holds: str = ""
    held_limit_s: float = 120.0  # (ours)

    @abstractmethod
    def read(self) -> State | None:
        """What AWS has of it now, or None when there is none. Changes nothing."""

    @abstractmethod
    def diff(self, state: State) -> list[Change]:
        """Where the state differs from what is wanted; nothing when it is as wanted. Calls nobody."""

    @abstractmethod
    def create(self) -> str:
        """Make it, where there is none, and wait until it is usable. Returns a remark for the reader, or nothing."""

    @abstractmethod
    def update(self, state: State, changes: list[Change]) -> str:
        """Make the changes that `diff` found in `state`, and wait until it is usable. Returns as `create`."""

    @abstractmethod
    def delete(self) -> None:
        """Delete it, which is there, with all that is in it, and wait until it is gone."""

    def remark(self, state: State) -> str:
        """What is worth telling of one that is as wanted, or nothing."""
        return ""


class FixedResource(Resource):
    """A resource that AWS cannot change. Its name stands for its content: one of that name is as wanted."""

    def diff(self, state: State) -> list[Change]:
        """Nothing differs."""
        return []

    def update(self, state: State, changes: list[Change]) -> str:
        """Never called, since nothing differs."""
        raise NotImplementedError(f"{self.title} {self.name} cannot be changed")


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[Change]:
    """The members of `wanted` that `found` lacks or has otherwise; what else `found` has is not looked at."""
    return [Change(key, found.get(key), value) for key, value in wanted.items() if found.get(key) != value]


def error_code(error: ClientError) -> str:
    """AWS's code; S3 gives a bare HTTP status as one when an answer has no body."""
    return str(error.response["Error"]["Code"])


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that the resource is not there.

    SageMaker's Describe and Delete say so by ValidationException, which has no other cause where the only argument is
    a valid name, as the blueprint's are."""
    return error_code(error) in _MISSING


def find(call: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any] | None:
    """What the call answers, or None when AWS says that the resource is not there."""
    try:
        return dict(call(**arguments))
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _shown(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
