"""A bucket of another account, in which the photos of a deployment lie. It is read, and neither made, written to nor
deleted."""
