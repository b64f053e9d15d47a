"""The header that marks a call which LocalStack makes itself: with our secret, so that nobody else can send it."""

import hmac
import json
from typing import Any

from stagemaker.app import App


def dump(app: App, original: Any) -> Any:
    """In place of the function that writes the header."""

    def dump_dto(data: Any) -> str:
        return f"{app.secret} {original(data)}"

    return dump_dto


def load(app: App, _original: Any) -> Any:
    """In place of the function that reads it. LocalStack takes a call whose header raises an error for any other."""

    def load_dto(data: str) -> Any:
        secret, _, text = data.partition(" ")
        if not hmac.compare_digest(secret.encode(), app.secret.encode()):
            raise ValueError("a header of LocalStack's own calls came from somebody else")
        return json.loads(text)

    return load_dto
