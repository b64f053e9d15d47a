"""Who signed a call, what it asks for, and whether IAM's policies allow it. It calls no service."""
