"""Says whether a Content-Encoding means that bytes are compressed.

Many programs store objects in S3 with a value that is no content coding at all: `utf-8`, `base64`, or `aws-chunked`,
which belongs to the upload. The bytes are then the object as it is.
"""

# IANA's content codings, without `identity`.
_COMPRESSED = frozenset(
    {
        "aes128gcm",
        "br",
        "compress",
        "dcb",
        "dcz",
        "deflate",
        "exi",
        "gzip",
        "pack200-gzip",
        "x-compress",
        "x-gzip",
        "zstd",
    }
)


def is_compressed(content_encoding: str) -> bool:
    """Whether a value of Content-Encoding names a coding that changes the bytes."""
    return any(name.strip().lower() in _COMPRESSED for name in content_encoding.split(","))
