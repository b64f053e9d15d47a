"""Runs the stack on a host, and deploys the workload on it by AWS's calls alone: `python -m infra <verb>`."""
