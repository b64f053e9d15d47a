"""Images as containers of the Docker engine."""
