"""Tells the policy that another account must put in place, where a job or a host is refused its photos: they are read
under another role than who deploys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from infra.blueprint import Blueprint
from infra.data_bucket.refusals import is_of_key, is_refusal
from infra.explain import tell
from infra.resource_policies import of_others


@contextmanager
def policy_told(blueprint: Blueprint, caller: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say the policy when what is done meanwhile fails since photos may not be read: that of their key where the words
    are KMS's, else that of the bucket. The error goes on."""
    try:
        yield
    except Exception as error:
        data = blueprint.settings.data
        texts = [str(one) for one in (error.exceptions if isinstance(error, ExceptionGroup) else [error])]
        refused = [text for text in texts if data and data.bucket in text and is_refusal(text)]
        policies = of_others(blueprint, caller)
        lacking = {"data-key" if is_of_key(text) else "data-bucket" for text in refused} & policies.keys()
        tell({name: policies[name] for name in sorted(lacking)}, say)
        raise
