"""The engine's interface where the engine hangs, over a real socket."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.runtime.docker import engine as module
from stagemaker.runtime.docker.engine import Engine, EngineGone


class HungEngine(http.server.BaseHTTPRequestHandler):
    """It says its version, and then nothing until `released`."""

    released: threading.Event

    def do_GET(self) -> None:
        if "version" not in self.path:
            self.released.wait(30)
            return
        body = b'{"ApiVersion": "1.45"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.released.wait(30)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    released = threading.Event()
    handler = type("Handler", (HungEngine,), {"released": released})
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine.sock"), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield f"unix://{tmp_path}/engine.sock"
        released.set()
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("call", ["attach", "converse", "stats", "inspect"])
def test_an_engine_that_hangs_is_gone(url: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUICK_S", 0.2)
    with pytest.raises(EngineGone, match="timed out"):
        getattr(Engine(url), call)("container")


def test_an_engine_that_hung_is_not_waited_for_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUICK_S", 0.2)
    monkeypatch.setattr(module, "_DOUBT_S", 0.2)
    engine = Engine(url)
    with pytest.raises(EngineGone):
        engine.inspect("container")
    with pytest.raises(EngineGone, match="timed out"):  # and not that the engine hung up, before our _ANSWER_S
        engine.networks("label")
