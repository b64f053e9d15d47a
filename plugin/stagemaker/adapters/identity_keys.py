"""Access keys and who they belong to, as IAM and STS have them at this moment: what was deleted works no more.

IAM's users and roles are moto's, which is imported when somebody first asks for IAM: before, there are none.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from localstack.constants import DEFAULT_AWS_ACCOUNT_ID, INTERNAL_AWS_ACCESS_KEY_ID

from stagemaker.access.callers import Caller, root_of
from stagemaker.access.keys import Key
from stagemaker.access.request import Principal
from stagemaker.access.sessions import Session, Sessions
from stagemaker.settings import RootKey

ROOT_ID, ROOT_SECRET = "test", "test"  # of the default account; its secret is that of every account's number
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


class Keys:
    """All that may sign. Thread-safe. LocalStack signs with `internal_secret` what it gives to others."""

    def __init__(self, root_keys: tuple[RootKey, ...], sessions: Sessions, internal_secret: str) -> None:
        self._root_keys = {key.access_key_id: key for key in root_keys}
        self._sessions, self._internal_secret = sessions, internal_secret
        named = self._root_keys.get(ROOT_ID)
        self._root_secret = named.secret if named else ROOT_SECRET

    def find(self, access_key_id: str) -> Key | None:
        """None for a key that there is not, or not any more, or that is inactive."""
        if root := self._root_keys.get(access_key_id):
            return Key(root.secret, root_of(root.account, access_key_id))
        if access_key_id == ROOT_ID or _ACCOUNT.fullmatch(access_key_id):
            account = DEFAULT_AWS_ACCOUNT_ID if access_key_id == ROOT_ID else access_key_id
            return Key(self._root_secret, root_of(account, access_key_id))
        if access_key_id == INTERNAL_AWS_ACCESS_KEY_ID:
            return Key(self._internal_secret, root_of(DEFAULT_AWS_ACCOUNT_ID, access_key_id, is_stage=True))
        if session := self._sessions.find(access_key_id):
            return _session_key(session)
        return _user_key(access_key_id)


def iam_backends() -> Iterator[Any]:
    """Moto's IAM of each account and partition that has been asked for."""
    module: Any = sys.modules.get("moto.iam.models")
    backends = getattr(module, "iam_backends", None)  # a module that is being imported has none yet
    for partitions in list(dict.values(backends or {})):
        yield from list(dict.values(partitions))


def iam_backend(account: str, partition: str) -> Any:
    """Moto's IAM of an account, such as in the partition `aws`; None where nobody has asked for it yet."""
    found = (each for each in iam_backends() if (each.account_id, each.partition) == (account, partition))
    return next(found, None)


def _session_key(session: Session) -> Key | None:
    """None for a session whose role or user is gone. Another one of the same name is another one."""
    caller = session.caller
    if session.owner_id:
        found = next(filter(None, (_owner(backend, session) for backend in iam_backends())), None)
        if found is None:
            return None
        if caller.user_name is not None:  # a user may have got another name or path meanwhile
            caller = replace(caller, principal=Principal(found.arn), user_name=found.name)
    return Key(session.secret, caller, session.token, session.expires_s)


def _owner(backend: Any, session: Session) -> Any:
    if session.is_of_role:
        return backend.roles.get(session.owner_id)
    return next((user for user in list(backend.users.values()) if user.id == session.owner_id), None)


def _user_key(access_key_id: str) -> Key | None:
    for backend in iam_backends():
        key = backend.access_keys.get(access_key_id)
        if key is None or key.status != "Active":
            continue
        for user in (backend.users.get(key.user_name), *list(backend.users.values())):  # it may have another name now
            if user is not None and key in user.access_keys:
                caller = Caller(Principal(user.arn), access_key_id, user.id, user_name=user.name)
                return Key(key.secret_access_key, caller)
    return None
