"""How a job ends early: by an error that its owner can mend, or because it was asked to. Anything else that is raised
is a fault of ours."""


class JobError(Exception):
    """The job cannot go on; the message is one clear sentence for its owner, fit to be the job's FailureReason."""


class Stopped(Exception):
    """The job was asked to stop; the work in hand was dropped."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch on the CPU (a plain RuntimeError) or PyTorch on a GPU had no memory left."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # by name: this module imports no torch
        or "DefaultCPUAllocator" in str(error)
    )
