"""Lambda's provisioned concurrency, for what Application Auto Scaling makes of it."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

NO_CONFIG = "ProvisionedConcurrencyConfigNotFoundException"


class ProvisionedConcurrency:
    """Of each scope's functions. Thread-safe; every call waits for Lambda, and raises ApiError with Lambda's code and
    message when it refuses."""

    def __init__(self, clients: Callable[[str, Scope], Any]) -> None:
        self._clients = clients

    def get(self, scope: Scope, function: str, qualifier: str) -> dict[str, Any] | None:
        """As GetProvisionedConcurrencyConfig has it; with 0 requested where a version has none. None when there is no
        such version or alias."""
        try:
            return dict(self._call(scope, "get_provisioned_concurrency_config", function, qualifier))
        except ApiError as error:
            if error.code != NO_CONFIG and error.status != 404:
                raise
        try:
            self._call(scope, "get_function", function, qualifier)
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        return {"RequestedProvisionedConcurrentExecutions": 0, "Status": "READY"}

    def put(self, scope: Scope, function: str, qualifier: str, count: int) -> None:
        """Begin to provide so many; 0 deletes the configuration."""
        if count:
            wanted = {"ProvisionedConcurrentExecutions": count}
            self._call(scope, "put_provisioned_concurrency_config", function, qualifier, **wanted)
        else:
            self._call(scope, "delete_provisioned_concurrency_config", function, qualifier)

    def _call(self, scope: Scope, operation: str, function: str, qualifier: str, **request: Any) -> Any:
        client = self._clients("lambda", scope)
        try:
            return getattr(client, operation)(FunctionName=function, Qualifier=qualifier, **request)
        except ClientError as error:
            details = error.response
            status = details["ResponseMetadata"]["HTTPStatusCode"]
            raise ApiError(details["Error"]["Code"], details["Error"]["Message"], status) from error
        except BotoCoreError as error:
            raise ApiError("ServiceUnavailable", f"Lambda does not answer: {error}", 503) from error
