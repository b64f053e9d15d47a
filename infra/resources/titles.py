"""What the resources of a deployment are called for a reader. Dependencies are named by these titles."""

from collections.abc import Iterable

BUCKET = "Bucket"
DATA = "Data in S3"
WEIGHTS = "Starting weights in S3"
TRAINING_ROLE = "Role of training"
HOSTING_ROLE = "Role of hosting"
JOBS_GROUP = "Security group of the jobs"
S3_ENDPOINT = "S3 gateway endpoint"
TRAINING_JOB = "Training job"
FEATURES_JOB = "Training job (features)"
TUNING_JOB = "Tuning job"
MODEL = "Model"
ENDPOINT_CONFIGURATION = "Endpoint configuration"
ENDPOINT_LOG = "Log of the endpoint"
ENDPOINT = "Endpoint"
SCALING = "Scaling of the endpoint"
LAMBDA_ROLE = "Role of the function"
FUNCTION_LOG = "Log of the function"
FUNCTION = "Function"
FUNCTION_ALIAS = "Alias of the function"
FUNCTION_URL = "Address of the function"
EC2_ROLE = "Role of the EC2 host"
INSTANCE_PROFILE = "Instance profile of the EC2 host"
SECURITY_GROUP = "Security group of the EC2 host"
KEY_PAIR = "Key pair of the EC2 host"
LAUNCH_TEMPLATE = "Launch template of the EC2 host"
EC2_HOST = "EC2 host"
NOTEBOOK_ROLE = "Role of the notebook"
NOTEBOOK_FILES = "Files of the notebook in S3"
NOTEBOOK_LIFECYCLE = "Lifecycle configuration of the notebook"
NOTEBOOK_INSTANCE = "Notebook instance"


def of_model(title: str, model: str) -> str:
    """The title of what a deployment has for each of several models."""
    return f"{title} ({model})" if model else title


def of_models(titles: Iterable[str], model: str) -> tuple[str, ...]:
    """Each of the titles for the model."""
    return tuple(of_model(title, model) for title in titles)
