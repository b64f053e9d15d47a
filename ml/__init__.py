"""Transfer learning on photos of classes: data in, a checked and served model out. It imports nothing else of ours."""
