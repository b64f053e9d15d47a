"""The configurations of ranges whose values can be counted, in a fixed order: Grid gives out all of them. Pure."""

import math
from collections.abc import Mapping, Sequence

from stagemaker.tuning.ranges import Range


def configuration(ranges: Sequence[Range], index: int) -> dict[str, str]:
    """The values of the configuration with this index from 0; the last range changes fastest."""
    texts: dict[str, str] = {}
    for each in reversed(ranges):
        index, place = divmod(index, _size(each))
        texts[each.name] = each.at(place)
    return {each.name: texts[each.name] for each in ranges}


def first_configuration(ranges: Sequence[Range]) -> dict[str, str]:
    """The lowest or first value of each, of ranges of any type."""
    return {each.name: each.at(0) for each in ranges}


def next_untried(ranges: Sequence[Range], tried: set[tuple[str, ...]], start: Mapping[str, str]) -> dict[str, str]:
    """The first configuration from `start` on that is not in `tried`; after the last the first follows. LookupError
    when all were tried."""
    total, index = math.prod(_size(each) for each in ranges), _index(ranges, start)
    for _ in range(min(total, len(tried) + 1)):
        found = configuration(ranges, index)
        if tuple(found.values()) not in tried:
            return found
        index = (index + 1) % total
    raise LookupError


def _index(ranges: Sequence[Range], values: Mapping[str, str]) -> int:
    index = 0
    for each in ranges:
        index = index * _size(each) + each.index(values[each.name])
    return index


def _size(each: Range) -> int:
    if each.size is None:
        raise ValueError(f"The values of {each.name} cannot be counted.")
    return each.size
