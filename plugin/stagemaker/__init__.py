"""Stagemaker's stage: a LocalStack plugin that really executes SageMaker jobs, endpoints and Lambda functions."""

import warnings

__version__ = "0.1.0"

if not hasattr(warnings, "deprecated"):  # LocalStack 4.14.0 says it runs on Python 3.12 and imports this name of 3.13
    from typing_extensions import deprecated

    warnings.deprecated = deprecated  # type: ignore[attr-defined]
