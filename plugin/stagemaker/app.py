"""Composes the plugin: the services over one runtime and one store; and takes it all down again."""

import shutil
import time
from contextlib import ExitStack

from stagemaker.api.tags import Tags
from stagemaker.aws.account import Aws, Clients
from stagemaker.aws.cloudwatch import Logs
from stagemaker.core.store import Store
from stagemaker.hosting.configs import EndpointConfigs
from stagemaker.hosting.endpoints import Endpoints
from stagemaker.hosting.invoke import Invoke
from stagemaker.hosting.models import Models
from stagemaker.registry.ecr import Ecr
from stagemaker.runtime.contract import Runtime
from stagemaker.settings import Settings
from stagemaker.training.service import Training


class Stage:
    """Everything that one LocalStack process runs. Owns `runtime` and `ecr`. Thread-safe; `close` once."""

    def __init__(self, settings: Settings, runtime: Runtime, ecr: Ecr) -> None:
        self.runtime = runtime
        ecr.open()
        runtime.sweep()
        shutil.rmtree(settings.work_dir, ignore_errors=True)  # of an earlier process: records do not outlive it either
        clients, store = Clients(settings.gateway_url), Store()
        aws, logs = Aws(clients), Logs(clients, time.time)
        training = Training(store, runtime, aws, logs, time.time, settings.work_dir / "training")
        endpoints = Endpoints(store, runtime, aws, logs, time.time, settings.work_dir / "endpoints")
        models, configs = Models(store, runtime, aws, time.time), EndpointConfigs(store, time.time)
        self.services: dict[str, tuple[object, ...]] = {
            "sagemaker": (training, models, configs, endpoints, Tags(store)),
            "sagemaker-runtime": (Invoke(store, endpoints, logs, time.time),),
            "ecr": ecr.services,
        }
        self._work_dir = settings.work_dir
        self._closes = (logs.close, training.close, endpoints.close, runtime.close, ecr.close)

    def close(self) -> None:
        """Stop every job and server; leave no process and no folder."""
        with ExitStack() as closes:  # each, whatever another raises
            closes.callback(shutil.rmtree, self._work_dir, ignore_errors=True)
            for close in reversed(self._closes):
                closes.callback(close)
