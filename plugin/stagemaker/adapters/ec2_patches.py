"""EC2: moto's instances get a host (`stagemaker/ec2`), and moto keeps the records of all that EC2 has.

Moto's models are replaced, not the operations: what else makes instances, such as a spot request, a fleet or
CloudFormation, comes here too.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import unwrap
from typing import Any

from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.amis import Ami as MotoAmi
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.ec2.responses.general import General
from moto.ec2.utils import filter_iam_instance_profiles

from stagemaker.adapters.errors import exception
from stagemaker.adapters.patches import Patch
from stagemaker.app import App
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.ec2.amis import RESOLVE, check_ami, deep_learning_amis
from stagemaker.ec2.metadata import InstanceView, Options, Profile
from stagemaker.ec2.states import CODES, Reason, check_start, check_stop

LOG = logging.getLogger(__name__)
MAX_USER_DATA_BYTES = 16_384
_NO_TOKEN = "ABCDE"  # noqa: S105 - the ClientToken that moto puts where there is none


class MotoRecord:
    """The record of one instance, as the part `ec2` reads and changes it."""

    def __init__(self, instance: Instance, user_data: bytes) -> None:
        self._instance, self._user_data = instance, user_data

    def view(self) -> InstanceView:
        """As it is now."""
        it: Any = self._instance
        backend, options = it.ec2_backend, it.metadata_options
        found = backend.iam_instance_profile_associations.get(it.id)
        return InstanceView(
            id=it.id,
            account=backend.account_id,
            region=backend.region_name,
            ami_id=it.image_id,
            instance_type=it.instance_type,
            zone=it.placement.zone,
            private_ip=it.private_ip or "",
            private_dns=it.private_dns_name,
            reservation_id=_reservation(backend, it.id),
            state=it.state,
            launched_s=it.launch_time.timestamp(),
            is_spot=it.lifecycle == "spot",
            shutdown_behavior=it.instance_initiated_shutdown_behavior,
            user_data=self._user_data,
            architecture=it.architecture or "x86_64",
            security_groups=tuple(group.name for group in it.security_groups),
            tags={tag["key"]: tag["value"] for tag in it.get_tags()},
            options=Options(
                options.http_endpoint != "disabled",
                options.http_tokens == "required",
                int(options.http_put_response_hop_limit or 1),
                options.instance_metadata_tags == "enabled",
            ),
            profile=_profile(found.iam_instance_profile) if found else None,
        )

    def enter(self, state: str, reason: Reason) -> None:
        """Change its state. One that is terminated gives up its network interfaces, its volumes and its profile."""
        if state == "terminated" and self._instance.state != "terminated":
            try:
                unwrap(Instance.terminate)(self._instance)
            except Exception:
                LOG.exception("what belonged to %s", self._instance.id)
        self._instance._state = InstanceState(state, CODES[state])
        self._instance._reason = reason.transition
        self._instance.state_reason = StateReason(reason.message, reason.code)


def _reservation(backend: Any, instance_id: str) -> str:
    found = (
        each.id for each in list(backend.reservations.values()) if any(i.id == instance_id for i in each.instances)
    )
    return next(found, "")


def _profile(profile: Any) -> Profile | None:
    role = profile.roles[0] if profile.roles else None
    return Profile(profile.arn, profile.id, role.name, role.arn) if role else None


def _run_instances(app: App, original: Any) -> Any:
    def run_instances(
        self: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Any:
        if made := _made_before(self, kwargs.get("client_token")):
            return made
        scope = Scope(self.account_id, self.region_name)
        try:
            app.instances.check()
            version = self._get_template_from_args(kwargs["launch_template"]) if kwargs.get("launch_template") else None
            template = version.data if version else {}
            image_id = _image(self, image_id or template.get("ImageId") or "")
            data = _user_data(user_data if user_data is not None else template.get("UserData"))
            profile = _template_profile(self, template, kwargs)
        except ApiError as error:
            raise exception(error) from error
        kwargs["metadata_options"] = {**template.get("MetadataOptions", {}), **(kwargs.get("metadata_options") or {})}
        behavior = "instance_initiated_shutdown_behavior"
        kwargs[behavior] = kwargs.get(behavior) or template.get("InstanceInitiatedShutdownBehavior")
        market = template.get("InstanceMarketOptions") or {}
        kwargs["instance_market_options"] = kwargs.get("instance_market_options") or market.get("MarketType") or {}
        reservation = original(self, image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            if profile is not None:
                self.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile.arn)
            app.instances.launch(scope, instance.id, MotoRecord(instance, data))
        return reservation

    return run_instances


def _made_before(backend: Any, client_token: str | None) -> Any:
    """The reservation that a request with the same ClientToken has made."""
    if not client_token or client_token == _NO_TOKEN:
        return None
    found = (
        each
        for each in list(backend.reservations.values())
        if any(instance.client_token == client_token for instance in each.instances)
    )
    return next(found, None)


def _image(backend: Any, image_id: str) -> str:
    """The AMI's id, of one that has a host here."""
    if image_id.startswith(RESOLVE):
        from moto.ssm.models import ssm_backends

        name = image_id.removeprefix(RESOLVE)
        found = ssm_backends[backend.account_id][backend.region_name].get_parameter(name)
        if found is None:
            raise ApiError("InvalidParameterValue", f"We could not find the parameter {name}.")
        image_id = found.value
    add_amis(backend)
    ami = backend.amis.get(image_id)
    check_ami(image_id, ami.name if ami else None, ami.architecture if ami else "")
    return image_id


def _user_data(value: Any) -> bytes:
    if value is None:
        return b""
    try:
        data = base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise ApiError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error
    if len(data) > MAX_USER_DATA_BYTES:
        raise ApiError("InvalidParameterValue", f"User data is limited to {MAX_USER_DATA_BYTES} bytes")
    return data


def _template_profile(backend: Any, template: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Any:
    """The instance profile of a launch template, where the request names none itself, which moto cares for."""
    asked = template.get("IamInstanceProfile") or {}
    if not asked or kwargs.get("iam_instance_profile_name") or kwargs.get("iam_instance_profile_arn"):
        return None
    member, name = ("arn", asked["Arn"]) if asked.get("Arn") else ("name", asked.get("Name"))
    try:
        return filter_iam_instance_profiles(backend.account_id, backend.partition, asked.get("Arn"), asked.get("Name"))
    except Exception as error:
        sentence = f"Value ({name}) for parameter iamInstanceProfile.{member} is invalid."
        raise ApiError("InvalidParameterValue", f"{sentence} Invalid IAM Instance Profile {member}") from error


def add_amis(backend: Any) -> None:
    """Have EC2 of this account and region know the Deep Learning AMIs."""
    for ami in deep_learning_amis(backend.region_name):
        if ami.id not in backend.amis:
            backend.amis[ami.id] = MotoAmi(
                backend, ami.id, name=ami.name, description=ami.name, owner_id="898082745236", owner_alias="amazon",
                public=True, virtualization_type="hvm", architecture="x86_64", hypervisor="xen",
                root_device_type="ebs", root_device_name=ami.root_device, image_location=f"amazon/{ami.name}",
            )  # fmt: skip


def _describe_images(_app: App, original: Any) -> Any:
    def describe_images(
        self: Any, ami_ids: Any = None, filters: Any = None, exec_users: Any = None, owners: Any = None
    ) -> Any:
        add_amis(self)
        return original(self, ami_ids, filters, exec_users, owners)

    return describe_images


def _changed(instance: Any, change: Callable[[], object]) -> InstanceState:
    """The state before the change, which the part `ec2` makes."""
    before = InstanceState(instance.state, instance.state_code)
    try:
        change()
    except ApiError as error:
        raise exception(error) from error
    return before


def _start(app: App, original: Any) -> Any:
    def start(self: Any) -> Any:
        def change() -> None:
            check_start(self.id, self.state)
            if self.state == "stopped":
                app.instances.start(self.id)

        return _changed(self, change) if app.instances.has(self.id) else original(self)

    return start


def _stop(app: App, original: Any) -> Any:
    def stop(self: Any) -> Any:
        def change() -> None:
            check_stop(self.id, self.state, is_spot=self.lifecycle == "spot")
            if self.state in ("pending", "running"):
                app.instances.stop(self.id)

        return _changed(self, change) if app.instances.has(self.id) else original(self)

    return stop


def _terminate(app: App, original: Any) -> Any:
    @wraps(original)
    def terminate(self: Any) -> Any:
        if not app.instances.has(self.id):
            return original(self)
        if self.state in ("shutting-down", "terminated"):
            return InstanceState(self.state, self.state_code)
        return _changed(self, lambda: app.instances.terminate(self.id))

    return terminate


def _reboot(app: App, original: Any) -> Any:
    def reboot(self: Any) -> None:
        if app.instances.has(self.id):
            _changed(self, lambda: app.instances.reboot(self.id))
        else:
            original(self)

    return reboot


def _console_output(app: App, original: Any) -> Any:
    def get_console_output(self: General) -> Any:
        instance_id = self._get_param("InstanceId")
        if not app.instances.has(instance_id):
            return original(self)
        text, at_s = app.instances.console(instance_id)
        return ActionResult(
            {"InstanceId": instance_id, "Timestamp": at_s, "Output": Base64EncodedString.from_raw_string(text)}
        )

    return get_console_output


_RECORDS_ONLY = "Moto keeps only the record of an instance."
PATCHES: tuple[Patch, ...] = (
    Patch(
        InstanceBackend,
        "run_instances",
        ("self", "image_id", "count", "user_data", "security_group_names", "kwargs"),
        _run_instances,
        why=f"{_RECORDS_ONLY} Of a launch template it leaves out profile, metadata options and market.",
        without="Instances are said to run, and nothing runs.",
    ),
    Patch(
        AmiBackend,
        "describe_images",
        ("self", "ami_ids", "filters", "exec_users", "owners"),
        _describe_images,
        why="Moto knows no Deep Learning AMI of our time.",
        without="DescribeImages does not know the AMI that a public parameter names.",
    ),
    *(
        Patch(
            Instance, name, ("self",), make, why=_RECORDS_ONLY, without="The host goes on as if nothing had happened."
        )
        for name, make in (("start", _start), ("stop", _stop), ("terminate", _terminate), ("reboot", _reboot))
    ),
    Patch(
        General,
        "get_console_output",
        ("self",),
        _console_output,
        why="Moto answers with the console of some machine of 2008.",
        without="Nobody sees what a host has written.",
    ),
)
