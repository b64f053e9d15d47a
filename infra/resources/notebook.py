"""The notebook instance and its lifecycle configuration."""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from infra import ownership, shortage
from infra.clients import Clients
from infra.errors import StepFailed
from infra.notebook.names import LOGS
from infra.patience import SAGEMAKER, once_role_is_known, once_seen
from infra.resources import titles
from infra.resources.logs import delete_streams, tail
from infra.resources.resource import Change, Resource, State, differences, find
from infra.typed import make
from infra.wait import poll

WAIT_LIMIT_S = 900.0  # (ours) AWS takes some minutes to start one
IN_SERVICE, STOPPED, FAILED = "InService", "Stopped", "Failed"
_AT_REST = (IN_SERVICE, STOPPED, FAILED)
OFFER_PATH = "/_stagemaker/notebooks"
_TIMEOUT_S = 30.0
_MAX_ANSWER_BYTES = 65_536
# Members of a request, and what DescribeNotebookInstance calls them.
_CHANGEABLE = {
    "InstanceType": "InstanceType",
    "RoleArn": "RoleArn",
    "LifecycleConfigName": "NotebookInstanceLifecycleConfigName",
    "VolumeSizeInGB": "VolumeSizeInGB",
    "RootAccess": "RootAccess",
    "InstanceMetadataServiceConfiguration": "InstanceMetadataServiceConfiguration",
}
_FIXED = {
    "SubnetId": "SubnetId",
    "SecurityGroupIds": "SecurityGroups",
    "DirectInternetAccess": "DirectInternetAccess",
    "KmsKeyId": "KmsKeyId",
}


class NotebookLifecycle(Resource):
    """The scripts that the instance runs. To read and delete one, a request that holds its name and tags is enough."""

    title = titles.NOTEBOOK_LIFECYCLE

    def __init__(self, sagemaker: Any, request: Mapping[str, Any]) -> None:
        self._sagemaker, self._request = sagemaker, request
        self.name = request["NotebookInstanceLifecycleConfigName"]

    def read(self) -> State | None:
        """DescribeNotebookInstanceLifecycleConfig's answer. Raises NotOurs when somebody else has made one of that
        name."""
        describe = self._sagemaker.describe_notebook_instance_lifecycle_config
        found = find(describe, NotebookInstanceLifecycleConfigName=self.name)
        if not found:
            return None
        tags = self._sagemaker.list_tags(ResourceArn=found["NotebookInstanceLifecycleConfigArn"])["Tags"]
        ownership.check(self.title, self.name, tags, self._request["Tags"])
        return found

    def diff(self, state: State) -> list[Change]:
        """By script."""
        hooks = [hook for hook in ("OnCreate", "OnStart") if self._request.get(hook) != state.get(hook)]
        return [Change(hook, "other scripts" if state.get(hook) else None, "this checkout's") for hook in hooks]

    def create(self) -> str:
        """Make it: a record, usable at once."""
        self._sagemaker.create_notebook_instance_lifecycle_config(**self._request)
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Replace the scripts."""
        request = {key: value for key, value in self._request.items() if key != "Tags"}
        self._sagemaker.update_notebook_instance_lifecycle_config(**request)
        return "from the next start of the instance on"

    def delete(self) -> None:
        """Delete the record."""
        self._sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=self.name)


class NotebookInstance(Resource):
    """The instance. One that is stopped is as wanted, since it stops itself. To read and delete one, a request that
    holds its name and tags is enough."""

    title = titles.NOTEBOOK_INSTANCE
    depends_on = (titles.NOTEBOOK_ROLE, titles.NOTEBOOK_FILES, titles.NOTEBOOK_LIFECYCLE)
    holds = "what was written on its volume"

    def __init__(self, clients: Clients, request: Mapping[str, Any]) -> None:
        self._clients, self._sagemaker, self._request = clients, clients.sagemaker, request
        self.name = request["NotebookInstanceName"]

    def read(self) -> State | None:
        """DescribeNotebookInstance's answer. Raises NotOurs when somebody else has made an instance of that name."""
        found = self._find()
        if not found:
            return None
        tags = self._sagemaker.list_tags(ResourceArn=found["NotebookInstanceArn"])["Tags"]
        ownership.check(self.title, self.name, tags, self._request["Tags"])
        return found

    def diff(self, state: State) -> list[Change]:
        """Its members, and a status that is none to stay in. One that somebody deletes is made anew."""
        status = state["NotebookInstanceStatus"]
        if status == "Deleting":
            return [Change("NotebookInstanceStatus", status, IN_SERVICE, replaces=True)]
        reason = f" ({state['FailureReason']})" if state.get("FailureReason") else ""
        settled = status in (IN_SERVICE, STOPPED)
        changes = [] if settled else [Change("NotebookInstanceStatus", f"{status}{reason}", IN_SERVICE)]
        return [*changes, *self._differences(_CHANGEABLE, state), *self._differences(_FIXED, state)]

    def create(self) -> str:
        """Make it, and wait until it is in service. Raises StepFailed with its FailureReason and the end of its log,
        and when the account may have no instance of its type."""
        create = partial(self._sagemaker.create_notebook_instance, **self._request)
        try:
            once_role_is_known(create, self._clients.iam, self._request["RoleArn"], SAGEMAKER)
        except ClientError as error:
            if problem := shortage.of_refusal(error, self._request["InstanceType"], self._clients.region):
                raise problem from error
            raise
        once_seen(partial(self._sagemaker.describe_notebook_instance, NotebookInstanceName=self.name))
        return self._in_service()

    def update(self, state: State, changes: list[Change]) -> str:
        """Stop it, change it and start it again; one that was stopped stays so. Raises StepFailed for what AWS cannot
        change, since another instance would not have its volume."""
        self._check_can_change(state)
        found = self._at_rest()
        was_stopped = found["NotebookInstanceStatus"] == STOPPED
        members = {change.member: change.new for change in self._differences(_CHANGEABLE, found)}
        if members:
            self._stop(found)
            self._sagemaker.update_notebook_instance(NotebookInstanceName=self.name, **members)
            found = self._at_rest()
        if was_stopped:
            return self.remark(found)
        return self.start()

    def start(self) -> str:
        """Start it where it is not in service, and wait until it is. Raises as `create`."""
        if self._at_rest()["NotebookInstanceStatus"] != IN_SERVICE:
            self._sagemaker.start_notebook_instance(NotebookInstanceName=self.name)
        return self._in_service()

    def address(self) -> str:
        """An address that opens JupyterLab for 5 minutes (CreatePresignedNotebookInstanceUrl)."""
        made = self._sagemaker.create_presigned_notebook_instance_url(NotebookInstanceName=self.name)
        return str(made["AuthorizedUrl"])

    def delete(self) -> None:
        """Stop it, delete it with its volume and its logs, and wait until it is gone."""
        found = self._find()
        if found and found["NotebookInstanceStatus"] != "Deleting":
            self._stop(self._at_rest())
            self._sagemaker.delete_notebook_instance(NotebookInstanceName=self.name)
        deadline = time.monotonic() + WAIT_LIMIT_S
        while self._find():
            self._pause(deadline, "its end")
        delete_streams(self._clients.logs, LOGS, f"{self.name}/")

    def remark(self, state: State) -> str:
        """Its type, and how to open it."""
        stopped = "stopped, " if state["NotebookInstanceStatus"] == STOPPED else ""
        return f"{state['InstanceType']}, {stopped}to open it: {make('notebook')}"

    def _differences(self, members: Mapping[str, str], state: State) -> Sequence[Change]:
        wanted = {name: self._request[name] for name in members if name in self._request}
        return differences(wanted, {name: state.get(described) for name, described in members.items()})

    def _check_can_change(self, state: State) -> None:
        changes = [*self._differences(_FIXED, state), *self._differences({"VolumeSizeInGB": "VolumeSizeInGB"}, state)]
        refused = [each for each in changes if each.member in _FIXED or each.new < (each.old or 0)]
        if refused:
            raise StepFailed(
                f"AWS cannot change this of the notebook instance {self.name}: {'; '.join(map(str, refused))}.",
                "Put the setting back. Or save what is on its volume, delete the instance, and deploy again.",
            )

    def _find(self) -> dict[str, Any] | None:
        return find(self._sagemaker.describe_notebook_instance, NotebookInstanceName=self.name)

    def _stop(self, found: State) -> None:
        if found["NotebookInstanceStatus"] == IN_SERVICE:
            self._sagemaker.stop_notebook_instance(NotebookInstanceName=self.name)
            self._at_rest()

    def _in_service(self) -> str:
        found = self._at_rest()
        if found["NotebookInstanceStatus"] != IN_SERVICE:
            reason = found.get("FailureReason", f"it is {found['NotebookInstanceStatus']}")
            raise StepFailed(
                f"The notebook instance {self.name} is not in service: {reason}",
                "Mend what the reason and the log above say, and run it again.",
                tail(self._clients.logs, LOGS, f"{self.name}/LifecycleConfig"),
            )
        return self.remark(found)

    def _at_rest(self) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_LIMIT_S
        while (found := self._find()) and found["NotebookInstanceStatus"] not in _AT_REST:
            coming = found["NotebookInstanceStatus"] == "Pending"
            self._pause(deadline, IN_SERVICE if coming else f"the end of {found['NotebookInstanceStatus']}")
        if not found:
            raise StepFailed(f"The notebook instance {self.name} was deleted meanwhile.", "Run this again.")
        return found

    def _pause(self, deadline: float, reason: str) -> None:
        if time.monotonic() > deadline:
            raise StepFailed(
                f"The notebook instance {self.name} did not settle within {WAIT_LIMIT_S:.0f} s.", "Run this again."
            )
        poll(self._clients.poll_s, reason)


def why_not_offered(clients: Clients) -> str:
    """Why the target has no notebook instances; empty where it has. AWS has, and the stage where it runs in containers
    and has their image, as it says of itself. Nothing is changed. Raises StepFailed where nothing answers."""
    if clients.target == "aws":
        return ""
    address = urlsplit(clients.endpoint or "")
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", OFFER_PATH)
        answer = connection.getresponse()
        found = json.loads(answer.read(_MAX_ANSWER_BYTES)) if answer.status == 200 else {}
    except ValueError:
        found = {}
    except (OSError, http.client.HTTPException) as error:
        raise StepFailed(f"The stack does not answer: {error}", f"Is it running? {make('start')}") from None
    finally:
        connection.close()
    if "WhyNone" not in found:
        return "the stack at this address does not say whether it has any"
    return str(found["WhyNone"]).rstrip(".")
