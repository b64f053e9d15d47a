"""Measures Stagemaker: each scenario is a module, and one run compares it with a peer or a baseline.

`python -m benchmarks` runs the scenarios.
"""
