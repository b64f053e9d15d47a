"""What runs an image: one contract, kept by containers, processes and the fake."""
