"""What all operations have in common: the table of them, validation, listing, tags, refusals."""
