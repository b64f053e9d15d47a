"""Stagemaker's stage: a LocalStack plugin that really executes SageMaker jobs, endpoints and Lambda functions."""

__version__ = "0.1.0"
