"""Pure: the metrics that only serverless variants have, in the names and units of AWS's guide."""

from collections.abc import Mapping

SETUP_TIME = "ModelSetupTime"  # of a container, from its start until it takes requests
COUNT, RATIO = "Count", "None"  # units

Values = Mapping[str, Mapping[str, float]]  # by unit, and then by name


def concurrency(running: int, most: int, kept: int) -> Values:
    """Of a variant that has `running` requests, may have `most` (MaxConcurrency), and keeps so many containers
    (ProvisionedConcurrency)."""
    ratios = {"ServerlessConcurrentExecutionsUtilization": running / most}
    if not kept:
        return {RATIO: ratios}
    provisioned = min(running, kept)
    ratios["ServerlessProvisionedConcurrencyUtilization"] = provisioned / kept
    return {RATIO: ratios, COUNT: {"ServerlessProvisionedConcurrencyExecutions": float(provisioned)}}


def invocation(running: int, kept: int) -> Values:
    """Of a request that is the `running`-th at once: whether a container that is kept has it. Nothing where none is."""
    if not kept:
        return {}
    name = "Invocations" if running <= kept else "SpilloverInvocations"
    return {COUNT: {f"ServerlessProvisionedConcurrency{name}": 1.0}}
