"""Models, endpoint configurations and endpoints: operations, the fleets that serve, and their invocation."""
