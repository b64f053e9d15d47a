"""A real LocalStack with small images under the names that docs/clients.md uses: the clients' tests call it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.localstack_process import ROOT, LocalStack, running_localstack

TRAIN = """
import json, os, pathlib, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
files = [path for path in (base / "input/data").rglob("*") if path.is_file()]
print(f"files={len(files)}", flush=True)
(base / "model/weights.txt").write_text((base / "input/config/hyperparameters.json").read_text())
wishes = json.loads((base / "input/config/hyperparameters.json").read_text())
for _ in range(int(wishes.get("epochs", 1))):
    print(f"valid_accuracy={1 - float(wishes.get('learning-rate', 0.5)):.4f}", flush=True)  # what the ranges search
    time.sleep(float(wishes.get("seconds", 0)))
"""

SERVE = """
import http.server, json, os, pathlib
names = lambda folder: sorted(path.name for path in pathlib.Path(folder).iterdir())
loaded = {}  # of a multi-model endpoint: what AWS's requests have of each model, by its name
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self): self.answer({"models": list(loaded.values())} if self.path == "/models" else {})
    def do_DELETE(self): self.answer(loaded.pop(self.path.split("/")[2]))
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/models":
            model = {"modelName": json.loads(body)["model_name"], "modelUrl": json.loads(body)["url"]}
            loaded[model["modelName"]] = model
            self.answer(model)
        elif self.path.startswith("/models/"):
            self.answer({"bytes": len(body), "model": names(loaded[self.path.split("/")[2]]["modelUrl"])})
        elif self.headers["Accept"] == "text/plain": self.stream(b"one\\n", b"two\\n", b"three\\n")
        else: self.answer({"bytes": len(body), "model": names(os.environ["SAGEMAKER_BASE_DIR"] + "/model")})
    def stream(self, *lines):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in (*lines, b""): self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(line), line))
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
address = os.environ["STAGEMAKER_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


@contextmanager
def running(folder: Path) -> Iterator[LocalStack]:
    """LocalStack, from its start to its orderly end. `folder` gets its images, state and log."""
    images, environments = folder / "images", folder / "environments"
    environments.mkdir(parents=True)
    for name, command, text in (("trainer", "train", TRAIN), ("serve", "serve", SERVE), ("mlflow", "serve", SERVE)):
        (images / name).mkdir(parents=True)
        (images / name / command).write_text(text)
        (environments / name).symlink_to(sys.prefix)
    (environments / "lambda").symlink_to(ROOT / ".stagemaker" / "env" / "lambda")
    settings = {"STAGEMAKER_IMAGES": str(images), "STAGEMAKER_ENVIRONMENTS": str(environments), "DEBUG": "0"}
    with running_localstack(folder / "localstack", **settings, STAGEMAKER_IAM="strict") as started:
        yield started
