"""How every command of infra ends: its exit code, and what a failure or a Ctrl-C says."""

import os
from collections.abc import Callable, Iterable, Iterator

from botocore.exceptions import BotoCoreError, ClientError

from infra.credentials import explain
from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.terminal import Terminal


def run(action: Callable[[Interrupts], int | None], terminal: Terminal, *, next_step: str, interrupted: str) -> int:
    """The exit code: what `action` returns, or 0; 1 when a step or AWS's interface failed, for which `next_step` is the
    advice; 130 on Ctrl-C."""
    with Interrupts() as interrupts:
        try:
            return action(interrupts) or 0
        except StepFailed as error:
            terminal.failure(error)
            return 1
        except (BotoCoreError, ClientError) as error:
            terminal.failure(_failure(error, next_step))
            return 1
        except ExceptionGroup as group:
            others = group.split((StepFailed, BotoCoreError, ClientError))[1]
            if others:
                raise others from None
            for failure in _failures(group.exceptions, next_step):
                terminal.failure(failure)
            return 1
        except KeyboardInterrupt:
            terminal.say(interrupted)
            return 130


def _failures(errors: Iterable[Exception], next_step: str) -> Iterator[StepFailed]:
    """Those of the steps that ran at once. Credentials that have expired, or a network that is gone, stop all of them:
    that is told once."""
    explained = set[str]()
    for error in errors:
        failure = _failure(error, next_step)
        if isinstance(error, StepFailed) or failure.next_step == next_step or failure.next_step not in explained:
            yield failure
        explained.add(failure.next_step)


def _failure(error: Exception, next_step: str) -> StepFailed:
    if isinstance(error, StepFailed):
        return error
    return explain(error, os.environ) or StepFailed(str(error), next_step)
