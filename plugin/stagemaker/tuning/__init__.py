"""Hyperparameter tuning jobs: what is decided, the search, and the run of their training jobs."""
