"""The page as a whole, of a rehearsal that ran to its end and of one that failed."""

from argparse import Namespace

import pytest

from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.rehearse.rehearse import Played, page_of, reason_of, run, searched
from infra.rehearse.scenes import SCENES
from infra.rehearse.section import Section
from infra.terminal import Terminal

TUNED = Section("Tuning", here={"tuning": "2 jobs"})


def test_a_page_begins_with_the_outcome_and_ends_with_the_times() -> None:
    played = Played([TUNED], {"tuning": 61.24}, "tuning")
    title, sections = page_of("E", "E as processes", played, {"tuning": "by a metric"})
    assert title == "Rehearsal of system E"
    assert [section.title for section in sections] == ["It ran to the end", "By hand, and here", "Tuning", "Times"]
    assert sections[1].tables[0].rows == (("Tuning", "by a metric", "2 jobs"),)
    assert sections[-1].tables[0].rows == (("tuning", "61.2"), ("in all", "61.2"))


def test_a_rehearsal_that_failed_says_where_and_why() -> None:
    played = Played([TUNED], {"tuning": 61.24}, "training and endpoints", "The job failed.")
    _, sections = page_of("E", "E as processes", played, {})
    assert sections[0].title == "It failed"
    assert sections[0].sentences[-1] == "It ended in the scene “training and endpoints”: The job failed."


def test_the_reason_of_several_errors_is_that_of_each() -> None:
    group = ExceptionGroup("", [StepFailed("One.", "Next."), ExceptionGroup("", [ValueError("Two.")])])
    assert reason_of(group) == "One. Two."
    assert reason_of(KeyboardInterrupt()) == "It was interrupted."


def test_the_scenes_have_titles_of_their_own_and_end_clean() -> None:
    titles = [scene.title for scene in SCENES]
    assert len(set(titles)) == len(titles)
    assert titles[-1] == "clean-up"


@pytest.mark.parametrize(
    ("preset", "jobs", "parallel", "expected"),
    [("b", None, None, (10, 3)), ("c", None, None, (2, 2)), ("e", None, None, (4, 2)), ("e", 8, None, (8, 2))],
)
def test_a_preset_that_does_not_say_how_many_jobs_searches_with_few(
    preset: str, jobs: int | None, parallel: int | None, expected: tuple[int, int]
) -> None:
    tuning = searched(Namespace(preset=preset, jobs=jobs, parallel=parallel)).tuning
    assert (tuning.jobs, tuning.parallel) == expected


def test_a_rehearsal_needs_the_name_of_a_system() -> None:
    with pytest.raises(StepFailed, match="No system was named"):
        run(Namespace(preset=None), Interrupts(), Terminal())
