"""Processing jobs: what is decided before one runs, and its run."""
