"""Whether a principal may do an action on a resource: pure decisions from IAM policies. It calls no service."""
