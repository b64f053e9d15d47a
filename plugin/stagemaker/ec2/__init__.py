"""EC2 instances whose host really runs: their states, their metadata service, their images. Moto keeps the records."""
