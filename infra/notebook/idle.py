"""Runs on the notebook instance, as root: stops it when nobody has used it for a while.

Jupyter knows when each kernel and each terminal was last used; a kernel that computes is in use. An open page alone is
none. Where Jupyter does not answer, nothing is known, and the instance goes on.
"""

import datetime
import json
import pathlib
import ssl
import sys
import time
import urllib.request
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

METADATA = pathlib.Path("/opt/ml/metadata/resource-metadata.json")
JUPYTER = ("https://localhost:8443/api/", "http://localhost:8080/api/")  # AWS's, and the stage's
POLL_S = 60.0


def last_use_s(kernels: list[dict[str, Any]], terminals: list[dict[str, Any]], now_s: float) -> float:
    """When Jupyter was last used, in epoch seconds; 0 when it never was."""
    if any(kernel["execution_state"] == "busy" for kernel in kernels):
        return now_s
    # AWS's own Python may be one that does not read the Z.
    texts = [one["last_activity"].replace("Z", "+00:00") for one in (*kernels, *terminals)]
    return max((datetime.datetime.fromisoformat(text).timestamp() for text in texts), default=0.0)


def ask(what: str) -> Any:
    """What Jupyter answers. Raises OSError when it does not. Its certificate on AWS is of its own making."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    problem = OSError()
    for address in JUPYTER:
        try:
            with urllib.request.urlopen(address + what, timeout=10, context=context) as answer:  # noqa: S310 - of JUPYTER
                return json.load(answer)
        except OSError as error:
            problem = error
    raise problem


def stop() -> None:
    """Stop this instance."""
    resource = json.loads(METADATA.read_text())
    region = resource["ResourceArn"].split(":")[3]
    sagemaker = boto3.client("sagemaker", region_name=region)
    sagemaker.stop_notebook_instance(NotebookInstanceName=resource["ResourceName"])


def watch(idle_s: float, poll_s: float = POLL_S) -> None:
    """Return when the instance is told to stop."""
    used_s = time.time()
    while True:
        time.sleep(poll_s)
        try:
            now_s = time.time()
            used_s = max(used_s, last_use_s(ask("kernels"), ask("terminals"), now_s))
            if now_s - used_s > idle_s:
                stop()
                return
        except (BotoCoreError, ClientError, OSError, ValueError) as error:  # it is asked again
            print(type(error).__name__, error)


if __name__ == "__main__":
    watch(float(sys.argv[1]))
