"""The operations on notebook instances. An instance in service is a container with JupyterLab."""

import json
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from stagemaker.api.listing import listing
from stagemaker.api.operation import OWN, Response, described
from stagemaker.api.unsupported import not_supported
from stagemaker.core.credentials import Credentials
from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import NOTEBOOK_INSTANCE, NOTEBOOK_LIFECYCLE_CONFIG
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.notebooks.addresses import SESSION_S, authorized_url
from stagemaker.notebooks.boot import HOOKS, LIMIT_S, SCRIPTS, VOLUME, BootLog, boot_command
from stagemaker.notebooks.lifecycle_configs import LifecycleConfigs, scripts_of
from stagemaker.notebooks.requests import LIFECYCLE_CONFIG_NAME, new_record, refuse_unsupported, updated_record
from stagemaker.notebooks.server import NotebookServer, ServerFailed
from stagemaker.notebooks.statuses import (
    DELETING,
    FAILED,
    IN_SERVICE,
    PENDING,
    STATUS,
    STOPPED,
    STOPPING,
    UPDATING,
    check_move,
    check_serves,
)
from stagemaker.runtime.contract import ContainerSpec, Mount, Runtime
from stagemaker.runtime.variables import run_as

LOG = logging.getLogger(__name__)
LOG_GROUP = "/aws/sagemaker/NotebookInstances"
METADATA = "/opt/ml/metadata"
PORT = 8080  # of the container
_CREATED = {"created": True}  # OWN of a record: its OnCreate script has run
_SUMMARY = (
    "LastModifiedTime", STATUS, "Url", "InstanceType", LIFECYCLE_CONFIG_NAME, "DefaultCodeRepository",
    "AdditionalCodeRepositories",
)  # fmt: skip


class NotebookAccount(Protocol):
    """The part of `aws.account.Account` that notebook instances need."""

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]: ...
    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials: ...


class NotebookInstances:
    """Every notebook instance. Thread-safe. One that is not stopped has a thread of the supervisor.

    `image` is what they run; empty where there are no containers. `work_dir` holds their volumes. `limit_s` is how long
    a lifecycle script may run."""

    def __init__(
        self,
        store: Store,
        configs: LifecycleConfigs,
        runtime: Runtime,
        account: NotebookAccount,
        logs: RoleTelemetry,
        clock: Callable[[], float],
        supervisor: Supervisor,
        work_dir: Path,
        image: str,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._store, self._configs, self._runtime, self._account = store, configs, runtime, account
        self._logs, self._clock, self._supervisor = logs, clock, supervisor
        self._work_dir, self._image, self._limit_s = work_dir, image, limit_s
        self._servers: dict[Ref, NotebookServer] = {}  # under the store's lock

    def create_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Make the volume and start the instance."""
        ref = _ref(scope, request)
        refuse_unsupported(request)
        record = new_record(ref, request, self._clock())
        self._check(ref, record)
        with self._store.lock:
            if self._store.find(ref.arn) is not None:
                raise validation_error(f"Cannot create a duplicate Notebook Instance ({ref.arn})")
            self._store.put(ref, {**record, STATUS: PENDING})
            try:
                self._launch(ref)
            except BaseException:
                self._store.delete(ref)
                raise
        return {"NotebookInstanceArn": ref.arn}

    def describe_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Everything about the instance as it is now."""
        return described(self._get(_ref(scope, request)))

    def list_notebook_instances(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Summaries, one page of them, by name unless asked otherwise."""
        wanted = request.get("NotebookInstanceLifecycleConfigNameContains", "").lower()
        repositories = {"DefaultCodeRepositoryContains", "AdditionalCodeRepositoryEquals"} & request.keys()
        records = self._store.all(scope, NOTEBOOK_INSTANCE)
        found = [record for record in records if wanted in record.get(LIFECYCLE_CONFIG_NAME, "").lower()]
        return listing(
            [] if repositories else found,  # no instance has any
            {"SortBy": "Name", **request},
            NOTEBOOK_INSTANCE,
            items="NotebookInstances",
            members=_SUMMARY,
            status=STATUS,
            order="Ascending",
        )

    def start_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Start a stopped or failed instance, with the volume that it had."""
        ref = _ref(scope, request)
        record = self._get(ref)
        check_move(ref, record, PENDING)
        self._check(ref, record)
        with self._store.lock:
            check_move(ref, self._get(ref), PENDING)
            self._launch(ref)
            self._change(ref, PENDING)
        return {}

    def stop_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """End the container; the volume stays."""
        ref = _ref(scope, request)
        with self._store.lock:
            check_move(ref, self._get(ref), STOPPING)
            self._change(ref, STOPPING)
            self._servers[ref].stop()
        return {}

    def update_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Change a stopped or failed instance, which is Stopped afterwards."""
        ref = _ref(scope, request)
        refuse_unsupported(request)
        record, now_s = self._get(ref), self._clock()
        check_move(ref, record, UPDATING)
        self._check(ref, updated_record(record, request, now_s))
        with self._store.lock:
            record = self._get(ref)
            check_move(ref, record, UPDATING)
            self._store.put(ref, updated_record(record, request, now_s))
            self._change(ref, STOPPED)
        return {}

    def delete_notebook_instance(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Delete the volume, then the record."""
        ref = _ref(scope, request)
        with self._store.lock:
            check_move(ref, self._get(ref), DELETING)
            delete = partial(self._delete, ref)
            self._supervisor.start(f"deletion of notebook instance {ref.name}", delete, cancel=lambda: None)
            self._change(ref, DELETING)
        return {}

    def create_presigned_notebook_instance_url(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """An address of this machine's loopback that opens JupyterLab for 5 minutes; the session that it opens lasts
        longer."""
        ref = _ref(scope, request)
        with self._store.lock:
            record, server = self._get(ref), self._servers.get(ref)
            check_serves(ref, record)
        if server is None or server.address is None:
            raise validation_error(f"Notebook Instance ({ref.arn}) is just ending.")
        session_s = request.get("SessionExpirationDurationInSeconds", SESSION_S)
        return {"AuthorizedUrl": authorized_url(server.address, server.key, self._clock(), session_s)}

    def why_none(self) -> str:
        """Why no instance at all can be started here; empty where one can."""
        try:
            self._check_image()
        except ApiError as error:
            return error.message
        return ""

    def _check_image(self) -> None:
        if not self._image:
            raise not_supported("notebook instances in the process runtime: they need the stack in containers")
        self._runtime.check_image(self._image)

    def _check(self, ref: Ref, record: Mapping[str, Any]) -> None:
        """Raise ApiError for what an instance cannot be started with."""
        self._check_image()
        if LIFECYCLE_CONFIG_NAME in record:
            self._configs.get(self._config_ref(ref, record), "describe")
        self._runtime.check_hardware(record["InstanceType"], 1)
        self._account.role_environment(ref.scope, record["RoleArn"], ref.arn, record.get("SubnetId", ""))

    def _launch(self, ref: Ref) -> None:
        """Start a thread that runs the instance; with the store's lock held."""
        record = self._get(ref)
        scripts = self._scripts(ref, record)
        mark = secrets.token_hex(16)
        server = NotebookServer(
            secrets.token_urlsafe(32), self._boot_log(ref, record, mark), partial(_words, ref, record), self._limit_s
        )
        run = partial(self._run, ref, server, mark, scripts)
        self._supervisor.start(f"notebook instance {ref.name}", run, cancel=server.stop)
        self._servers[ref] = server

    def _run(self, ref: Ref, server: NotebookServer, mark: str, scripts: Mapping[str, bytes]) -> None:
        """The life of the instance's container, in its own thread."""
        reason = ""
        try:
            spec = self._spec(ref, server.key, mark, scripts)
            server.run(self._runtime, spec, partial(self._enter_service, ref, server))
        except ServerFailed as failure:
            reason = str(failure)
        except ApiError as error:
            reason = error.message
        except Exception as error:
            LOG.exception("notebook instance %s", ref.name)
            reason = explain(error)
        shutil.rmtree(self._folder(ref) / "lifecycle", ignore_errors=True)
        self._logs.flush()  # whoever sees the end finds all of the logs
        with self._store.lock:
            del self._servers[ref]
            if reason:
                self._change(ref, FAILED, FailureReason=reason)
            else:
                self._change(ref, STOPPED)

    def _enter_service(self, ref: Ref, server: NotebookServer) -> None:
        host, port = server.address or ("", 0)
        with self._store.lock:
            self._change(ref, IN_SERVICE, Url=f"{host}:{port}", **{OWN: _CREATED})

    def _delete(self, ref: Ref) -> None:
        shutil.rmtree(self._folder(ref), ignore_errors=True)
        self._store.delete(ref)

    def _spec(self, ref: Ref, key: str, mark: str, scripts: Mapping[str, bytes]) -> ContainerSpec:
        """The container, with its folders."""
        record, folder = self._get(ref), self._folder(ref)
        for name in ("volume", "metadata", "lifecycle"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        metadata = {"ResourceArn": ref.arn, "ResourceName": ref.name}
        (folder / "metadata" / "resource-metadata.json").write_text(json.dumps(metadata))
        for hook, script in scripts.items():
            path = folder / "lifecycle" / hook
            path.write_bytes(script)
            path.chmod(0o755)
        spec = ContainerSpec(
            name=f"{ref.name}-notebook",
            image=self._image,
            command=(),
            entrypoint=boot_command(mark, list(scripts)),
            base_dir=None,
            environment={"NOTEBOOK_URL_KEY": key, "NOTEBOOK_PORT": str(PORT)},
            serves=True,
            published=True,
            user="root",
            instance_type=record["InstanceType"],
            mounts=(
                Mount(VOLUME, folder / "volume"),
                Mount(METADATA, folder / "metadata", writable=False),
                Mount(SCRIPTS, folder / "lifecycle", writable=False),
            ),
        )
        role = (ref.scope, record["RoleArn"], ref.arn, record.get("SubnetId", ""))
        return run_as(spec, self._account.role_environment(*role), partial(self._account.role_credentials, *role))

    def _scripts(self, ref: Ref, record: Record) -> dict[str, bytes]:
        if LIFECYCLE_CONFIG_NAME not in record:
            return {}
        scripts = scripts_of(self._configs.get(self._config_ref(ref, record), "describe"))
        return {hook: text for hook, text in scripts.items() if hook != HOOKS[0] or record.get(OWN) != _CREATED}

    def _config_ref(self, ref: Ref, record: Mapping[str, Any]) -> Ref:
        return Ref(ref.scope, NOTEBOOK_LIFECYCLE_CONFIG, record[LIFECYCLE_CONFIG_NAME])

    def _boot_log(self, ref: Ref, record: Record, mark: str) -> BootLog:
        logs = self._logs.under(record["RoleArn"])
        streams = {hook: f"{ref.name}/LifecycleConfig{hook}" for hook in HOOKS} | {"": f"{ref.name}/jupyter.log"}
        opened: dict[str, Callable[[str], None]] = {}

        def write(name: str, line: str) -> None:
            if name not in opened:
                opened[name] = logs.stream(ref.scope, LOG_GROUP, streams[name])
            opened[name](line)

        return BootLog(mark, {name: partial(write, name) for name in streams}, time.monotonic)

    def _folder(self, ref: Ref) -> Path:
        return self._work_dir / ref.scope.account / ref.scope.region / ref.name

    def _get(self, ref: Ref) -> Record:
        record = self._store.get(ref)
        if record is None:
            raise validation_error("RecordNotFound")  # AWS's whole sentence
        return record

    def _change(self, ref: Ref, status: str, **changes: Any) -> None:
        """Replace the record; with the store's lock held. A FailureReason, and an address, last until the next one."""
        old = {key: value for key, value in self._get(ref).items() if key not in ("FailureReason", "Url")}
        self._store.put(ref, {**old, **changes, STATUS: status, "LastModifiedTime": self._clock()})


def _ref(scope: Scope, request: Mapping[str, Any]) -> Ref:
    return Ref(scope, NOTEBOOK_INSTANCE, request["NotebookInstanceName"])


def _words(ref: Ref, record: Record, hook: str) -> str:
    """AWS's, before `took longer than 5 minutes`, and the script (ours)."""
    config = Ref(ref.scope, NOTEBOOK_LIFECYCLE_CONFIG, record[LIFECYCLE_CONFIG_NAME])
    return f"Notebook Instance Lifecycle Config '{config.arn}' for Notebook Instance '{ref.arn}' ({hook})"
