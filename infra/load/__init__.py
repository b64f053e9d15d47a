"""An open-loop load on an endpoint, and a page about what came of it."""
