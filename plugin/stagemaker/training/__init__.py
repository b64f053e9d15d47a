"""Training jobs: operations, what is decided before one runs, and its run."""
