"""Generated keys and passwords, made once and kept in files that only their owner can read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field

from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout
from deepfactor.stack.private_files import write_private

USER = "admin"


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _access_key() -> str:
    return "DF" + secrets.token_hex(9).upper()


@dataclass(frozen=True)
class Credentials:
    """Everything secret that the stack uses."""

    access_key: str = field(default_factory=_access_key)
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    fernet_key: str = field(default_factory=_fernet_key)
    session_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    token_key: str = field(default_factory=lambda: secrets.token_urlsafe(64))
    password: str = field(default_factory=lambda: secrets.token_urlsafe(15))

    def __repr__(self) -> str:
        return "Credentials(…)"


def ensure_credentials(layout: Layout) -> Credentials:
    """Return the stack's credentials, generated the first time.

    Raises
    ------
    StackError
        If the file that holds them is damaged.
    """
    if not layout.secrets.exists():
        write_private(layout.secrets, json.dumps(asdict(Credentials()), indent=1) + "\n")
    try:
        credentials = Credentials(**json.loads(layout.secrets.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StackError(
            f"{layout.secrets} cannot be read ({error}): stop the stack, delete the folder {layout.local}, start again"
        ) from None
    write_private(layout.password, json.dumps({USER: credentials.password}) + "\n")
    return credentials
