"""AWS's sagemaker-pytorch-inference toolkit: its handler in TorchServe, with two workers of one thread each.

`python sagemaker_pytorch_torch.py <backbone> <port>`: POST /predictions/model with a JPEG answers 133 logits. The
toolkit's own launcher writes into /etc, fails beside another TorchServe, and needs `pkg_resources`, which setuptools
has no more; so this program starts TorchServe with the toolkit's properties and handler itself.
"""

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.serve_programs.torchserve_torch import start

_INFERENCE = """\
import json, os
from benchmarks.serve_programs.photo_model import PhotoModel

def model_fn(_folder):
    return PhotoModel(os.environ["BACKBONE"])

def input_fn(body, _media):
    return bytes(body)

def predict_fn(photo, model):
    return model.logits(photo)

def output_fn(rows, _media):
    return json.dumps(rows)
"""

if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="stagemaker-toolkit-"))
    code = folder / "ml" / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(_INFERENCE)
    toolkit = find_spec("sagemaker_pytorch_serving_container")
    if toolkit is None or not toolkit.submodule_search_locations:
        sys.exit("sagemaker-pytorch-inference is not installed")
    handler = Path(toolkit.submodule_search_locations[0]) / "handler_service.py"
    os.environ |= {"BACKBONE": sys.argv[1], "SAGEMAKER_BASE_DIR": str(folder / "ml")}
    os.environ["PYTHONPATH"] = f"{code}:{os.environ['PYTHONPATH']}"
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    properties = {"decode_input_request": "false", "default_service_handler": f"{handler}:handle"}
    start(folder, folder / "ml" / "model", int(sys.argv[2]), properties)
