"""The trivial image that the suite trains, serves and breaks, and its function: the standard library is enough."""

IMAGE = "stagemaker-chaos:latest"
DOCKERFILE = """\
FROM python:3.13-slim
LABEL com.stagemaker=1
COPY --chmod=755 train serve /usr/local/bin/
"""
# A server that works on each call for WORK_S. It answers with the body of the call, its own name and how many calls of
# the load it has had, whose bodies are 32 digits; so the load can tell a call that was executed from one that was not.
# The body `eat` makes it use memory until the kernel ends it, at most 400 MiB.
SERVE = """\
#!/usr/local/bin/python3
import http.server, itertools, json, os, signal, threading, time, uuid

worker, numbers, lock = uuid.uuid4().hex, itertools.count(1), threading.Lock()
work_s = float(os.environ.get("WORK_S", "0.1"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            position = next(numbers) if len(body) == 32 else 0
        if body == b"eat":
            eaten = [bytearray(os.urandom(1 << 20)) for _ in range(400)]
        time.sleep(work_s)
        self.answer(json.dumps({"worker": worker, "position": position, "body": body.decode()[:100]}).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("0.0.0.0", 8080), Handler).serve_forever()
"""
# A job that does what its hyperparameters say: `steps` of a tenth of a second with a checkpoint each, then `eat`
# (memory, at most 400 MiB) or `shout` (that many lines, as fast as they go).
TRAIN = """\
#!/usr/local/bin/python3
import json, os, pathlib, signal, subprocess, sys, time

base = pathlib.Path("/opt/ml")
wishes = json.loads((base / "input/config/hyperparameters.json").read_text())
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
read = sum(path.stat().st_size for path in (base / "input/data").rglob("*") if path.is_file())
print("input bytes", read, flush=True)
kept = base / "checkpoints" / "step"
step = int(kept.read_text()) if kept.exists() else 0
while step < int(wishes.get("steps", 0)) and not stopped:
    time.sleep(0.1)
    step += 1
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(str(step))
if "eat" in wishes:
    eaten = [bytearray(os.urandom(1 << 20)) for _ in range(400)]
if "shout" in wishes:
    subprocess.run("yes a line of a flood, as long as lines often are | head -n " + wishes["shout"], shell=True)
(base / "model" / "weights").write_text(str(step))
print("steps", step, flush=True)
"""
FUNCTION = """\
import time

number = 0


def handler(event, context):
    global number
    number += 1
    time.sleep(float(event.get("sleep", 0)))
    return {"body": event["body"], "worker": context.log_stream_name, "position": number}
"""
