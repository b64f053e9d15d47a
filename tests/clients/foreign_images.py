"""Images in the forms that AWS's own examples have, built from their packages for a stack in containers."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.contract.registry_stack import docker

# The toolkits of AWS's framework images. Its program `train` fetches the user's script from S3, and runs it; `serve`
# starts AWS's model server, which calls the functions of the user's inference.py. That needs Java, whose package wants
# a folder that the slim image lacks, and pkg_resources, which newer setuptools lack.
SCRIPT_MODE = {
    "Dockerfile": """
FROM python:3.13-slim
RUN mkdir -p /usr/share/man/man1 && apt-get update -q && \\
    apt-get install -q -y --no-install-recommends gcc g++ libc6-dev make openjdk-17-jre-headless
RUN pip install --no-cache-dir sagemaker-training==5.1.4 sagemaker-inference==1.10.1 multi-model-server==1.1.11 \\
    setuptools==80.9.0
COPY handler.py /opt/handler.py
COPY --chmod=755 serve /usr/local/bin/serve
""",
    "serve": """#!/usr/local/bin/python3
from sagemaker_inference import model_server
model_server.start_model_server(handler_service="/opt/handler.py:handle")
""",
    "handler.py": """
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

class HandlerService(DefaultHandlerService):
    def __init__(self):
        super().__init__(transformer=Transformer(default_inference_handler=DefaultInferenceHandler()))
""",
}

# As AWS's example scikit_bring_your_own has it, without nginx before gunicorn.
DECISION_TREE = {
    "Dockerfile": """
FROM python:3.13-slim
RUN pip install --no-cache-dir scikit-learn==1.9.1 pandas==3.1.1 flask==3.1.3 gunicorn==27.0.1
ENV PYTHONUNBUFFERED=TRUE PYTHONDONTWRITEBYTECODE=TRUE PATH=/opt/program:$PATH
COPY train serve predictor.py /opt/program/
RUN chmod +x /opt/program/train /opt/program/serve
WORKDIR /opt/program
""",
    "train": """#!/usr/bin/env python3
import json, pathlib, pickle, sys, traceback
import pandas
from sklearn import tree
prefix = pathlib.Path("/opt/ml")
try:
    parameters = json.loads((prefix / "input/config/hyperparameters.json").read_text())
    files = sorted((prefix / "input/data/training").iterdir())
    data = pandas.concat([pandas.read_csv(path, header=None) for path in files])
    leaves = parameters.get("max_leaf_nodes")
    classifier = tree.DecisionTreeClassifier(max_leaf_nodes=int(leaves) if leaves else None)
    classifier = classifier.fit(data.iloc[:, 1:], data.iloc[:, 0])
    (prefix / "model/decision-tree-model.pkl").write_bytes(pickle.dumps(classifier))
    print("Training complete.")
except Exception as error:
    trace = traceback.format_exc()
    (prefix / "output/failure").write_text("Exception during training: " + str(error) + "\\n" + trace)
    print("Exception during training: " + str(error) + "\\n" + trace, file=sys.stderr)
    sys.exit(255)
""",
    "serve": """#!/bin/sh
exec gunicorn --bind 0.0.0.0:8080 --workers 1 predictor:app
""",
    "predictor.py": """
import io, pathlib, pickle
import flask, pandas
model = pickle.loads(pathlib.Path("/opt/ml/model/decision-tree-model.pkl").read_bytes())
app = flask.Flask(__name__)

@app.route("/ping", methods=["GET"])
def ping():
    return flask.Response(response="\\n", status=200, mimetype="application/json")

@app.route("/invocations", methods=["POST"])
def invocations():
    if flask.request.content_type != "text/csv":
        return flask.Response(response="This predictor only supports CSV data", status=415, mimetype="text/plain")
    rows = pandas.read_csv(io.StringIO(flask.request.data.decode()), header=None)
    answers = "".join(f"{answer}\\n" for answer in model.predict(rows))
    return flask.Response(response=answers, status=200, mimetype="text/csv")
""",
}

# A container for pipelines: it answers the numbers that it gets, each multiplied with FACTOR.
FACTOR = {
    "Dockerfile": """
FROM python:3.13-slim
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --chmod=755 serve /usr/local/bin/serve
""",
    "serve": """#!/usr/local/bin/python3
import http.server, json, os, signal
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer("")
    def do_POST(self):
        numbers = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps([number * int(os.environ["FACTOR"]) for number in numbers]))
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080))), Handler).serve_forever()
""",
}


@contextmanager
def built(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """The image's name; it is gone afterwards, and the engine's cache of its layers stays."""
    name = f"stagemaker-test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    for file, text in files.items():
        (folder / file).write_text(text)
    docker("build", "--quiet", "--label", "com.stagemaker=1", "--tag", name, str(folder))
    try:
        yield name
    finally:
        docker("image", "rm", "--force", name)
