"""The program of the image's HEALTHCHECK: exit status 0 when /ping answers 200.

It imports only the standard library, because it runs every few seconds.
"""

import http.client
import os
import sys


def main() -> int:
    """Returns 0 when the server answers 200 within 2 s, else 1."""
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ping")
        return int(connection.getresponse().status != 200)
    except OSError:
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
