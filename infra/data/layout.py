"""How a data set is laid out, and how large a photo AWS takes."""

SPLITS = ("train", "valid", "test")
CHANNELS = ("train", "valid")  # those that a job trains with
MAX_BYTES = 6_291_456  # of a photo for an endpoint: InvokeEndpoint takes no larger Body
