"""The two exceptions that end a job early: an error that the job's owner can correct, and a request to stop.

Any other exception is a bug in this repository.
"""


class JobError(Exception):
    """The job cannot continue; the message is one clear sentence for its owner, fit to be the job's FailureReason."""


class Stopped(Exception):
    """The job was asked to stop; the unfinished step was dropped."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch on the CPU (a plain RuntimeError) or PyTorch on a GPU had no memory left."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # by name: this module imports no torch
        or "DefaultCPUAllocator" in str(error)
    )
