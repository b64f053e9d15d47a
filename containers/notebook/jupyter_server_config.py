"""How JupyterLab is served in the image, and who may open it.

With NOTEBOOK_URL_KEY it opens to whoever brings a token that was signed with that key (addresses.py), for one session,
and to the machine itself, as on AWS: a lifecycle script asks there whether the instance is used.
Without it Jupyter makes a token of its own at each start, and writes it into its log.
"""

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError

sys.path.insert(0, "/opt/stagemaker")
from containers.notebook.addresses import session_s

if TYPE_CHECKING:

    def get_config() -> Any:
        """Jupyter's configuration, a name that it gives to the file that it executes."""


KEY = os.environ.pop("NOTEBOOK_URL_KEY", "")  # no kernel is told
COOKIE = f"notebook-session-{os.environ.get('NOTEBOOK_PORT', '8888')}"
DAY_S = 24 * 3600
LOOPBACK = ("127.0.0.1", "::1")  # no other container and no browser comes from there


class SignedAddresses(IdentityProvider):  # type: ignore[misc]
    """Lets in who comes with a signed token, and afterwards whoever has the cookie that was given for it."""

    login_available = True  # a page that says what to do

    def get_user(self, handler: JupyterHandler) -> User | None:
        """The one user of the notebook; None when the session has ended or none was opened."""
        if handler.request.remote_ip in LOOPBACK:
            return User("ec2-user")
        until_s = handler.get_secure_cookie(COOKIE, max_age_days=1)
        if until_s and time.time() < float(until_s):
            return User("ec2-user")
        token = handler.get_query_argument("authToken", "")
        session = session_s(KEY, token, time.time())
        if session is None:
            return None
        end_s = time.time() + session
        handler.set_secure_cookie(
            COOKIE, str(end_s), expires_days=session / DAY_S, httponly=True, samesite="Strict", path="/"
        )
        return User("ec2-user")

    @property
    def auth_enabled(self) -> bool:
        """Always."""
        return True


class NoSession(JupyterHandler):  # type: ignore[misc]
    """What stands in place of a page to log in."""

    def get(self) -> None:
        """Say why the notebook is closed."""
        raise HTTPError(403, "This address has ended. Make another one: CreatePresignedNotebookInstanceUrl.")


configuration = get_config()
server = configuration.ServerApp
server.root_dir = "/home/ec2-user/SageMaker"
server.terminado_settings = {"shell_command": ["/bin/bash", "-l"]}
server.allow_remote_access = False  # but by the names of the machine itself: no web page reaches it by another name
server.local_hostnames = ["localhost", "127.0.0.1"]
server.quit_button = False
configuration.LabApp.news_url = None
configuration.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
if KEY:
    server.identity_provider_class = SignedAddresses
    configuration.SignedAddresses.login_handler_class = NoSession
