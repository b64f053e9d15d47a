"""What is said of a variant while its fleet comes, takes over and goes, in the sentences of AWS's API reference."""

import pytest

from stagemaker.hosting.variant_status import VariantStage, activating, baking, launching, scaling, terminating

COUNTS = {"a": 2}


@pytest.mark.parametrize(
    ("stage", "status", "sentence"),
    [
        (launching(COUNTS, 7.0), "Creating", "Launching 2 instance(s)."),
        (
            activating("canary", COUNTS, 7.0),
            "ActivatingTraffic",
            "Activating traffic on canary capacity of 2 instance(s).",
        ),
        (
            baking(60, "TerminationWaitInSeconds", "full", COUNTS, 7.0),
            "Baking",
            "Baking for 60 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 instance(s).",
        ),
        (scaling(COUNTS, 7.0), "Updating", "Scaling out desired instance count to 2."),
        (terminating(COUNTS, 7.0), "Deleting", "Terminating 2 instance(s)."),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_the_sentences_are_awss(stage: VariantStage, status: str, sentence: str) -> None:
    assert stage.of("a", 5) == {"Status": status, "StatusMessage": sentence, "StartTime": 7.0}


def test_a_variant_that_is_not_counted_apart_has_all_its_instances() -> None:
    assert launching({}, 7.0).of("a", 5)["StatusMessage"] == "Launching 5 instance(s)."
