"""Notebook instances: JupyterLab in a container, with its lifecycle scripts, its volume and the rights of its role."""
