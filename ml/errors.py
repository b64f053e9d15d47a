"""The one kind of error that a job's owner can mend; anything else that is raised is a fault of ours."""


class JobError(Exception):
    """The job cannot go on; the message is one clear sentence for its owner, fit to be the job's FailureReason."""
