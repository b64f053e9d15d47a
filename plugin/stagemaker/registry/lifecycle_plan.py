"""Pure: a lifecycle policy, and which images it expires.

Source: "Lifecycle policy parameters" and "How lifecycle policies work" of the ECR user guide: the rules are taken in
the order of their priority; an image is expired by one rule or none, and one that a rule has claimed, even only to
count it, is never expired by a rule of a lower priority.
"""

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_RULES = 50
_DAY_S = 86_400.0
_SELECTION = {
    "tagStatus", "tagPrefixList", "tagPatternList", "countType", "countNumber", "countUnit",
}  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """An image as the rules see it."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: float


@dataclass(frozen=True)
class Rule:
    """One rule; `days` of `sinceImagePushed` or `count` of `imageCountMoreThan` is set."""

    priority: int
    tag_status: str  # tagged, untagged, any
    prefixes: tuple[str, ...]  # a tagged image must have a tag for each of them
    patterns: tuple[str, ...]  # as the prefixes, but with * for any characters
    days: int | None
    count: int | None


class PolicyInvalid(ValueError):
    """The message says which rule is broken, and how."""


def read_policy(text: str) -> tuple[Rule, ...]:
    """The rules in the order of their priority. Raises PolicyInvalid."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyInvalid(f"it is not JSON: {error}") from None
    rules = content.get("rules") if isinstance(content, dict) else None
    if not isinstance(rules, list) or not 0 < len(rules) <= MAX_RULES or set(content) != {"rules"}:
        raise PolicyInvalid(f"it must be an object with a list 'rules' of 1 to {MAX_RULES} rules")
    found = sorted((_rule(rule, index) for index, rule in enumerate(rules)), key=lambda rule: rule.priority)
    if len({rule.priority for rule in found}) < len(found):
        raise PolicyInvalid("two rules have the same rulePriority")
    if any(rule.tag_status == "any" for rule in found[:-1]):
        raise PolicyInvalid(
            "a rule with tagStatus 'any' must be the only one, and have the highest rulePriority number"
        )
    if sum(rule.tag_status == "untagged" for rule in found) > 1:
        raise PolicyInvalid("only one rule may have the tagStatus 'untagged'")
    return tuple(found)


def expired(rules: Sequence[Rule], images: Sequence[Candidate], now: float) -> dict[str, int]:
    """Which images expire: digest to the priority of the rule that does it."""
    claimed: set[str] = set()
    gone: dict[str, int] = {}
    for rule in rules:
        matching = [image for image in images if _matches(rule, image)]
        newest_first = sorted(matching, key=lambda image: (-image.pushed_at, image.digest))
        for place, image in enumerate(newest_first):
            too_many = rule.count is not None and place >= rule.count
            too_old = rule.days is not None and now - image.pushed_at > rule.days * _DAY_S
            if (too_many or too_old) and image.digest not in claimed:
                gone[image.digest] = rule.priority
        claimed |= {image.digest for image in matching}
    return gone


def _matches(rule: Rule, image: Candidate) -> bool:
    if rule.tag_status == "untagged":
        return not image.tags
    if rule.tag_status == "any":
        return True
    return (
        bool(image.tags)
        and all(any(tag.startswith(prefix) for tag in image.tags) for prefix in rule.prefixes)
        and all(any(fnmatch.fnmatchcase(tag, pattern) for tag in image.tags) for pattern in rule.patterns)
    )


def _rule(rule: Any, index: int) -> Rule:
    where = f"rules[{index}]"
    if not isinstance(rule, dict) or not {"rulePriority", "selection", "action"} <= rule.keys():
        raise PolicyInvalid(f"{where} must be an object with rulePriority, selection and action")
    if unknown := rule.keys() - {"rulePriority", "description", "selection", "action"}:
        raise PolicyInvalid(f"{where} has the unknown key {min(unknown)}")
    if rule["action"] != {"type": "expire"}:
        raise PolicyInvalid(f"{where}.action must be {{'type': 'expire'}} (archiving is not implemented)")
    selection = rule["selection"]
    if not isinstance(selection, dict):
        raise PolicyInvalid(f"{where}.selection must be an object")
    if unknown := selection.keys() - _SELECTION:
        raise PolicyInvalid(f"{where}.selection has the unknown key {min(unknown)}")
    status = selection.get("tagStatus")
    if status not in ("tagged", "untagged", "any"):
        raise PolicyInvalid(f"{where}.selection.tagStatus must be tagged, untagged or any")
    prefixes, patterns = _tags(selection, status, f"{where}.selection")
    days, count = _limit(selection, f"{where}.selection")
    return Rule(_positive(rule["rulePriority"], f"{where}.rulePriority"), status, prefixes, patterns, days, count)


def _tags(selection: dict[str, Any], status: str, where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lists = {key: selection[key] for key in ("tagPrefixList", "tagPatternList") if key in selection}
    if len(lists) != (1 if status == "tagged" else 0):
        raise PolicyInvalid(f"{where} must have tagPrefixList or tagPatternList just when its tagStatus is tagged")
    for key, value in lists.items():
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise PolicyInvalid(f"{where}.{key} must be a list of strings that are not empty")
        if key == "tagPatternList" and any("?" in item or "[" in item or item.count("*") > 4 for item in value):
            raise PolicyInvalid(f"{where}.tagPatternList takes at most four '*' in each pattern, and no other wildcard")
    return tuple(lists.get("tagPrefixList", ())), tuple(lists.get("tagPatternList", ()))


def _limit(selection: dict[str, Any], where: str) -> tuple[int | None, int | None]:
    """Days and count: one of them."""
    number = _positive(selection.get("countNumber"), f"{where}.countNumber")
    kind, unit = selection.get("countType"), selection.get("countUnit")
    if kind == "sinceImagePushed" and unit == "days":
        return number, None
    if kind == "imageCountMoreThan" and unit is None:
        return None, number
    raise PolicyInvalid(
        f"{where} must have the countType imageCountMoreThan without a countUnit, or sinceImagePushed with 'days'"
    )


def _positive(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PolicyInvalid(f"{where} must be a whole number above 0")
    return value
