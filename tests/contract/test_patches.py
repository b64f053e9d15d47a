"""What we change in LocalStack is there, in the installed version, with the parameters that the changes rely on."""

import logging
from importlib import import_module, metadata
from types import SimpleNamespace
from typing import Any

import pytest
from localstack.aws.api import CommonServiceException

from stagemaker.adapters import patches
from stagemaker.adapters.patches import ANY_VERSION, LATE, PATCHES, VERSION, Patch, check_version, mismatch
from stagemaker.core.supervisor import Supervisor

ALL: list[Patch] = [*PATCHES, *(patch for module in LATE.values() for patch in import_module(module).PATCHES)]


class Target:
    """As if LocalStack had changed."""

    value = 1

    def method(self, name: str, more: int = 0) -> None: ...


def patch(name: str, parameters: tuple[str, ...] | None) -> Patch:
    return Patch(Target, name, parameters, lambda _app, original: original, why="", without="It would break.")


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_every_patch_fits_the_installed_localstack(each: Patch) -> None:
    assert mismatch(each) is None
    assert each.why.endswith(".")
    assert each.without.endswith(".")


def test_each_is_there_once() -> None:
    assert len({(each.owner, each.name) for each in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (patch("gone", ("self",)), "LocalStack has no Target.gone any more. It would break."),
        (patch("value", None), "Target.value is no text any more, but 1. It would break."),
        (
            patch("method", ("self", "name")),
            "Target.method takes ('self', 'name', 'more'), and the patch is for ('self', 'name'). It would break.",
        ),
    ],
)
def test_a_target_that_changed_is_told_in_words(changed: Patch, sentence: str) -> None:
    assert mismatch(changed) == sentence


def test_the_installed_version_is_the_one_that_they_are_for() -> None:
    check_version(metadata.version("localstack-core"), {})


def test_another_version_is_refused_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=rf"This is LocalStack 4.15.0, and .* install localstack-core=={VERSION}, or"):
        check_version("4.15.0", {})
    with caplog.at_level(logging.WARNING, patches.__name__):
        check_version("4.15.0", {ANY_VERSION: "1"})
    assert "This is LocalStack 4.15.0" in caplog.text


def asked(operation: str, **request: Any) -> Any:
    """What a handler of LocalStack's sees of a request to Lambda."""
    return SimpleNamespace(
        service=SimpleNamespace(service_name="lambda"),
        operation=SimpleNamespace(name=operation),
        service_request=request,
    )


def test_lambda_refuses_what_an_image_has_no_use_for() -> None:
    app: Any = SimpleNamespace(supervisor=Supervisor())
    check = patches.lambda_check(app)
    check(None, asked("CreateFunction", PackageType="Image"), None)
    check(None, asked("Invoke", Handler="main.handler", PackageType="Image"), None)
    with pytest.raises(CommonServiceException) as refusal:
        check(None, asked("CreateFunction", PackageType="Image", Handler="main.handler"), None)
    assert (refusal.value.code, refusal.value.status_code) == ("InvalidParameterValueException", 400)


def test_lambda_has_the_one_answer_at_the_end() -> None:
    app: Any = SimpleNamespace(supervisor=Supervisor())
    app.supervisor.close()
    with pytest.raises(CommonServiceException) as refusal:
        patches.lambda_check(app)(None, asked("Invoke"), None)
    assert (refusal.value.code, refusal.value.status_code) == ("ServiceUnavailable", 503)
