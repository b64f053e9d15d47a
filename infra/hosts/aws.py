"""The third host: AWS itself. There is nothing to start or to stop: the stack is the caller's account."""

from infra.clients import connect
from infra.partitions import of_region


def status(region: str) -> list[str]:
    """Whose credentials they are, and where the logs are. Raises StepFailed for credentials that AWS does not take."""
    clients = connect("aws", region)
    return [
        f"AWS takes the credentials: account {clients.account}, as {clients.caller}",
        *logs(region),
    ]


def logs(region: str) -> list[str]:
    """Where to read what jobs, endpoints and functions write: CloudWatch's groups."""
    page = of_region(region).console(region, "cloudwatch/home")
    return [
        f"The logs are CloudWatch's: {page}#logsV2:log-groups",
        f"or: aws logs describe-log-groups --region {region}",
    ]
