"""KMSKeyArn of a function, which LocalStack forgets: it is kept with the settings of each version, and shown.

Nothing is encrypted with it.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

from localstack.services.lambda_ import api_utils
from localstack.services.lambda_ import provider as lambda_provider
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, VersionFunctionConfiguration
from localstack.services.lambda_.provider import LambdaProvider

from stagemaker.adapters.patches import Patch
from stagemaker.app import App

_ASKED: ContextVar[str | None] = ContextVar("KMSKeyArn of the request that is being served", default=None)


@dataclass(frozen=True)
class KeyedConfiguration(VersionFunctionConfiguration):
    """The settings of a version, with the key that the request for them named; a copy for another version keeps it."""

    kms_key_arn: str = ""

    def __post_init__(self) -> None:
        if (asked := _ASKED.get()) is not None:
            object.__setattr__(self, "kms_key_arn", asked)


def _configuration(_app: App, _original: Any) -> Any:
    return KeyedConfiguration


def _remembering(_app: App, original: Any) -> Any:
    @wraps(original)
    def operation(self: LambdaProvider, context: Any, request: Any) -> Any:
        token = _ASKED.set(request.get("KMSKeyArn"))
        try:
            return original(self, context, request)
        finally:
            _ASKED.reset(token)

    return operation


def _show(_app: App, original: Any) -> Any:
    @wraps(original)
    def map_config_out(version: FunctionVersion, *args: Any, **kwargs: Any) -> Any:
        answer = original(version, *args, **kwargs)
        if key := getattr(version.config, "kms_key_arn", ""):
            answer["KMSKeyArn"] = key
        return answer

    return map_config_out


_WHY, _WITHOUT = "The key of a function is thrown away.", "A deployment with a key would change the function each time."
PATCHES = (
    Patch(
        lambda_provider,
        "VersionFunctionConfiguration",
        (
            "description", "role", "timeout", "runtime", "memory_size", "handler", "package_type", "environment",
            "architectures", "internal_revision", "ephemeral_storage", "snap_start", "tracing_config_mode", "code",
            "last_modified", "state", "image", "image_config", "runtime_version_config", "last_update", "layers",
            "dead_letter_arn", "vpc_config", "logging_config", "capacity_provider_config",
        ),
        _configuration, why=_WHY, without=_WITHOUT,
    ),
    *(
        Patch(LambdaProvider, name, ("self", "context", "request"), _remembering, why=_WHY, without=_WITHOUT)
        for name in ("create_function", "update_function_configuration")
    ),
    Patch(
        api_utils, "map_config_out",
        ("version", "return_qualified_arn", "return_update_status", "alias_name"),
        _show, why=_WHY, without=_WITHOUT,
    ),
)  # fmt: skip
