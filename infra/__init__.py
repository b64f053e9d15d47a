"""Provisions the stack on LocalStack or AWS, and tells its story: `make demo`, `make bootstrap`, `make data`."""
