"""Plays a system from empty to clean on the local stage, and writes a page about what came of it."""
