"""Tells the policy that a bucket of another account must have, where a job is refused its photos: SageMaker reads them
under another role than who deploys."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from infra.blueprint import Blueprint
from infra.explain import tell
from infra.resource_policies import of_others

_REFUSAL = re.compile("access ?denied|permission|not authorized|forbidden", re.IGNORECASE)


@contextmanager
def policy_told(blueprint: Blueprint, caller: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say the policy when what is done meanwhile fails since the bucket may not be read. The error goes on."""
    try:
        yield
    except Exception as error:
        data = blueprint.settings.data
        texts = [str(one) for one in (error.exceptions if isinstance(error, ExceptionGroup) else [error])]
        if data and any(data.bucket in text and _REFUSAL.search(text) for text in texts):
            policies = of_others(blueprint, caller)
            tell({"data-bucket": policies["data-bucket"]}, say)
        raise
