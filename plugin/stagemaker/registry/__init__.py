"""ECR: repositories and their rules are records of ours; the images lie in the registry service behind the front."""
