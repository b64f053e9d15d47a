"""Measured figures: one scenario a module, compared in one run with a peer or a baseline. `python -m benchmarks`."""
