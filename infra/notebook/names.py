"""Names of the notebook instance, and of what its notebook makes. Pure."""

from collections.abc import Mapping

from infra.blueprint import Blueprint

LOGS = "/aws/sagemaker/NotebookInstances"  # AWS's log group of all notebook instances
FILES = "notebook"  # begins the keys of the files that it brings from the bucket
_MAX_BEGIN = 20  # of the 32 characters of a tuning job's name, the SDK takes 12 for the time


def name(blueprint: Blueprint) -> str:
    """Of the instance and of its lifecycle configuration."""
    return f"{blueprint.settings.project}-notebook"


def begin(blueprint: Blueprint) -> str:
    """Begins the name of everything that the notebook makes, so that its role need not allow anything else."""
    end = "-nb"
    return blueprint.settings.project[: _MAX_BEGIN - len(end)].rstrip("-") + end


def kernel_environment(blueprint: Blueprint) -> Mapping[str, str]:
    """What the first cell of the notebook reads."""
    return {
        "AWS_DEFAULT_REGION": blueprint.settings.region,
        "PROJECT": begin(blueprint),
        "ROLE_ARN": blueprint.role_arn("notebook"),
        "TRAINER_IMAGE": blueprint.image("trainer").reference,
        "SERVE_IMAGE": blueprint.image("serve").reference,
        # The SDK simulates the role without resources and conditions, and would refuse one that is narrow.
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }
