"""Every change to LocalStack's Lambda service that is made before its first request."""

from stagemaker.adapters import lambda_concurrency, lambda_environments, lambda_keys, lambda_operations, lambda_urls

PATCHES = (
    *lambda_environments.PATCHES,
    *lambda_concurrency.PATCHES,
    *lambda_keys.PATCHES,
    *lambda_operations.PATCHES,
    *lambda_urls.PATCHES,
)
