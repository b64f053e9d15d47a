"""The life of a job of any kind, written once."""
