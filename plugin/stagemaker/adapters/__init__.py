"""The only part that knows LocalStack: providers, hooks, the server, the Lambda executor and the patches."""
