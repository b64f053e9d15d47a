"""This repository's own images as plain processes, where there is no Docker."""
