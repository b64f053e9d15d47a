"""The parts of the benchmark of scaling that need no endpoint."""

import pytest

from benchmarks.scaling_live import Rehearsal, changes, due_times, instance_seconds


def test_requests_are_due_evenly_in_their_minute() -> None:
    rehearsal = Rehearsal(20, (2, 0, 1))  # a minute takes 3 s
    assert due_times(rehearsal, 100.0) == pytest.approx([100.75, 102.25, 107.5])


def test_only_changes_since_the_beginning_are_kept() -> None:
    seen = [(-3.0, 2), (1.0, 1), (61.4, 1), (62.4, 3), (70.0, 3), (90.6, 2)]
    assert changes(seen) == [(62, 3), (91, 2)]


def test_instance_seconds_are_summed_up_to_the_end() -> None:
    assert instance_seconds([(60, 3), (100, 2), (500, 1)], 120.0) == 60 + 3 * 40 + 2 * 20
    assert instance_seconds([], 120.0) == 120
