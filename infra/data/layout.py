"""How a data set is laid out, and which photos AWS takes: shared by all who handle photos."""

SPLITS = ("train", "valid", "test")
CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
MAX_BYTES = 6_291_456  # of a photo for an endpoint: InvokeEndpoint takes no larger Body
