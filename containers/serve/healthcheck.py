"""What the image's HEALTHCHECK runs: exit status 0 when /ping answers 200. The standard library only, to be cheap."""

import http.client
import os
import sys


def main() -> int:
    """0 when the server answers 200 within 2 s, else 1."""
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
