"""The only part that knows LocalStack: providers, hooks, the server, the Lambda executor and the patches."""

import warnings

# LocalStack 4.14.0 says that it runs on Python 3.12, and imports this name of 3.13 when it loads S3, SQS and others:
# without it they fail there. It comes before any import of LocalStack's services; all other changes: patches.py.
if not hasattr(warnings, "deprecated"):
    from typing_extensions import deprecated

    warnings.deprecated = deprecated  # type: ignore[attr-defined]
