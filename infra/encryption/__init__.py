"""The encryption of a deployment with a key of the user's own: which one it is, and what of the requests names it."""
