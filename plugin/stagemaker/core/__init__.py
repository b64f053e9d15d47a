"""What every other part stands on: records, threads, errors. It imports no other part."""
