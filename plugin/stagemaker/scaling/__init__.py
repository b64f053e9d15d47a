"""Application Auto Scaling of endpoint variants: targets, policies, scheduled actions, and what is decided."""
