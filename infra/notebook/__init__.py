"""The notebook instance of a deployment: its settings, its requests, and the scripts that it runs."""
