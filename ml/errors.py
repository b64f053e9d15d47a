"""How a job ends early: by an error that its owner can mend, or because it was asked to. Anything else that is raised
is a fault of ours."""


class JobError(Exception):
    """The job cannot go on; the message is one clear sentence for its owner, fit to be the job's FailureReason."""


class Stopped(Exception):
    """The job was asked to stop; the work in hand was dropped."""
