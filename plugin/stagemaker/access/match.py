"""Wildcards, policy variables and ARNs: whether a text of a request fits a text of a policy.

Sources: the pages "Resource", "Variables and tags" and "Condition operators" of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html.

A regular expression would be shorter, but making one costs a hundred times a decision.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from stagemaker.access.request import Context

ARN_FIELDS = 6
# A text between wildcards: split at `*` into runs, and each run at `?` into pieces with one character between them.
type Run = tuple[str, ...]
type Runs = tuple[Run, ...]

_PLAIN_PART = re.compile(r"(?P<wildcard>[*?])|[^*?]+")
_PART = re.compile(r"\$\{(?P<inside>[^{}]*)\}|(?P<wildcard>[*?])|[^*?$]+|\$")
_VARIABLE = re.compile(r"([^\s,'{}]+)\s*(?:,\s*'([^']*)')?")
_COLON = re.compile(r":(?![^{}]*\})")  # but for those in the names of variables


class Wildcard(Enum):
    """What a wildcard stands for."""

    MANY = "*"  # any characters, or none
    ONE = "?"  # exactly one character


@dataclass(frozen=True)
class Variable:
    """`${key}` or `${key, 'default'}`; the key as the policy writes it."""

    key: str
    default: str | None


@dataclass(frozen=True)
class Pattern:
    """A text of a policy. Without variables its runs are known from the start, and its parts are not kept."""

    parts: tuple[str | Wildcard | Variable, ...]
    known: Runs | None

    def fits(self, text: str, context: Context) -> bool | None:
        """Whether the whole text fits, with its letter case. None: a variable has neither a value nor a default."""
        first = self.parts[0] if self.parts else None
        if isinstance(first, str) and not text.startswith(first):  # whatever the variables are
            return False
        runs = self.known or self.runs(context)
        return None if runs is None else runs_fit(runs, text)

    def runs(self, context: Context) -> Runs | None:
        """The runs of this request, or None when a variable has no value. A value's wildcards are plain characters."""
        runs = [[""]]
        for part in self.parts:
            if part is Wildcard.MANY:
                runs.append([""])
            elif part is Wildcard.ONE:
                runs[-1].append("")
            elif (text := _value(part, context)) is None:
                return None
            else:
                runs[-1][-1] += text
        return tuple(tuple(run) for run in runs)

    @property
    def variables(self) -> list[str]:
        """The keys of the variables that have no default."""
        return [part.key for part in self.parts if isinstance(part, Variable) and part.default is None]


@dataclass(frozen=True)
class ArnPattern:
    """An ARN as ArnLike and ArnEquals compare it: each of its six fields for itself."""

    fields: tuple[Pattern, ...]

    def fits(self, text: str, context: Context) -> bool | None:
        """Whether every field fits; the last field is the rest of the text. None as for a Pattern."""
        fields = text.split(":", ARN_FIELDS - 1)
        if len(fields) != len(self.fields):
            return False
        fitting = {pattern.fits(field, context) for pattern, field in zip(self.fields, fields, strict=True)}
        return False if False in fitting else None if None in fitting else True


@lru_cache(maxsize=8192)
def read_wildcards(text: str) -> Runs:
    """The runs of a text without variables."""
    return tuple([tuple(run.split("?")) if "?" in run else (run,) for run in text.split("*")])


def read_pattern(text: str, *, wildcards: bool, variables: bool) -> Pattern:
    """A text of a policy. What is not read, wildcards or variables, are plain characters.

    `${*}`, `${?}` and `${$}` are the characters themselves, where variables are read.
    """
    if not variables or "$" not in text:
        return Pattern((), read_wildcards(text) if wildcards else ((text,),))
    return _pattern(_parts(text, wildcards=wildcards, variables=True))


@lru_cache(maxsize=8192)
def read_resource(text: str, variables: bool) -> Pattern:
    """An entry of Resource or NotResource.

    It is compared as one text, since `*` at the end of a field goes on beyond the colon. An ARN with fewer than six
    fields means any value of the others. Variables are read after the fifth colon only, as AWS documents.
    """
    fields = text.split(":", ARN_FIELDS - 1)
    if text.startswith("arn:") and len(fields) < ARN_FIELDS:
        return read_pattern(text + ":*" * (ARN_FIELDS - len(fields)), wildcards=True, variables=False)
    if not variables or "$" not in text:
        return Pattern((), read_wildcards(text))
    head = _parts(":".join([*fields[:-1], ""]), wildcards=True, variables=False)
    return _pattern(head + _parts(fields[-1], wildcards=True, variables=True))


def read_arn(text: str, *, variables: bool) -> ArnPattern:
    """A value of ArnLike, ArnEquals and their negations."""
    fields = _COLON.split(text, maxsplit=ARN_FIELDS - 1)
    return ArnPattern(tuple(read_pattern(field, wildcards=True, variables=variables) for field in fields))


def runs_fit(runs: Runs, text: str) -> bool:
    """Whether the whole text is the runs in their order, with any characters between them."""
    first, last = runs[0], runs[-1]
    if not text.startswith(first[0]):  # most texts differ here
        return False
    if len(runs) == 1:
        return _width(first) == len(text) and _is_at(first, text, 0)
    position, end = _width(first), len(text) - _width(last)
    if position > end or not _is_at(first, text, 0) or not _is_at(last, text, end):
        return False
    for run in runs[1:-1]:
        found = _find(run, text, position, end)
        if found is None:
            return False
        position = found + _width(run)
    return True


def _width(run: Run) -> int:
    return len(run[0]) if len(run) == 1 else sum(map(len, run)) + len(run) - 1


def _is_at(run: Run, text: str, position: int) -> bool:
    for piece in run:
        if not text.startswith(piece, position):
            return False
        position += len(piece) + 1
    return True


def _find(run: Run, text: str, start: int, end: int) -> int | None:
    """Where the run begins first between `start` and `end`."""
    if len(run) == 1:
        found = text.find(run[0], start, end)
        return found if found >= 0 else None
    return next((place for place in range(start, end - _width(run) + 1) if _is_at(run, text, place)), None)


def _pattern(parts: list[str | Wildcard | Variable]) -> Pattern:
    joined: list[str | Wildcard | Variable] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    pattern = Pattern(tuple(joined), None)
    return pattern if any(isinstance(part, Variable) for part in joined) else Pattern((), pattern.runs({}))


def _parts(text: str, *, wildcards: bool, variables: bool) -> list[str | Wildcard | Variable]:
    parts: list[str | Wildcard | Variable] = []
    for match in (_PART if variables else _PLAIN_PART).finditer(text):
        found = match.groupdict()
        if found.get("inside") is not None:
            parts.append(_variable(found["inside"]))
        else:
            parts.append(Wildcard(match[0]) if wildcards and found["wildcard"] else match[0])
    return parts


def _variable(inside: str) -> str | Variable:
    """What `${inside}` means; anything but a variable or an escaped character is plain text."""
    if inside in ("*", "?", "$"):
        return inside
    match = _VARIABLE.fullmatch(inside.strip())
    return Variable(match[1], match[2]) if match else f"${{{inside}}}"


def _value(part: str | Wildcard | Variable, context: Context) -> str | None:
    """A plain text itself; the value of a variable. A key that can have several values is no variable."""
    if isinstance(part, Variable):
        found = context.get(part.key.lower())
        return found if isinstance(found, str) else part.default
    return part if isinstance(part, str) else part.value
