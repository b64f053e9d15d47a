"""Pages that a real browser shows, for tests of what it lets them do."""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PATIENCE_S = 120


@contextmanager
def served(texts: Mapping[str, str]) -> Iterator[str]:
    """An origin that has these pages, by their paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = texts.get(self.path, "").encode()
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def browser_title(url: str) -> str:
    """The title of the page when its scripts and requests have come to their end."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   f"--user-data-dir={profile}", "--virtual-time-budget=60000", "--dump-dom", url]  # fmt: skip
        shown = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    found = re.search("<title>(.*?)</title>", shown, re.DOTALL)
    return found[1] if found else ""
