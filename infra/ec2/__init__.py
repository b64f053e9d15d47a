"""The EC2 host: one instance that trains the model by itself, and shuts itself down."""
