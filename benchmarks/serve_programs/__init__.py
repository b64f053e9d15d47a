"""What the serving image is compared with. Each module is a server of its own, started by its path."""
