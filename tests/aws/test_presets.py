"""Every request that the deployment of a preset sends, judged by the stage in strict mode, botocore's models and moto
(`make test-aws`; each preset takes half a minute).

The process runtime trains on one instance and has no notebook instances. So a preset is deployed twice: as it is, where
the stage refuses that by its name once the request is judged; then without it, to its end.
"""

import os
import uuid
from pathlib import Path

import pytest

from infra.paths import CHECKOUT
from tests.aws.deploys import changing, run
from tests.aws.judges import judged
from tests.aws.pretended_aws import PretendedAws

pytestmark = pytest.mark.skipif(not os.environ.get("STAGEMAKER_EVERY_PRESET"), reason="make test-aws runs it")
PRESETS = [path.stem for path in sorted((CHECKOUT / "presets").glob("*.toml"))]
REFUSED = ("Several instances need Docker", "does not implement notebook instances in the process runtime")


def lessened(text: str) -> str:
    """A preset without what the process runtime does not do."""
    before, table, notebook = text.partition("\n[notebook]")
    _, further, after = notebook.partition("\n[")
    return (before + further + after if table else text).replace("instances = 2", "instances = 1")


@pytest.mark.parametrize("name", PRESETS)
def test_every_request_of_a_preset_is_one_that_aws_takes(
    name: str, aws: PretendedAws, images: None, small_digits: Path, tmp_path: Path
) -> None:
    project, text = f"d{uuid.uuid4().hex[:8]}", (CHECKOUT / "presets" / f"{name}.toml").read_text()
    whole, less = tmp_path / "whole.toml", tmp_path / "less.toml"
    whole.write_text(text)
    less.write_text(lessened(text))

    def does(preset: Path, verb: str, *more: str) -> tuple[int, str]:
        return run(aws, verb, "--preset", str(preset), "--project", project, *more)

    data = "--data", str(small_digits)
    with judged(aws):
        if text != lessened(text):
            code, said = does(whole, "deploy", *data)
            assert (code, any(reason in said for reason in REFUSED)) == (1, True), said
        code, said = does(less, "deploy", *data)
        assert code == 0, said
        aws.forget()
        code, said = does(less, "plan", *data)
        assert (code, changing(aws)) == (0, []), said
        code, said = does(less, "destroy", "--yes")
        assert (code, "Nothing is left with the tag" in said) == (0, True), said
