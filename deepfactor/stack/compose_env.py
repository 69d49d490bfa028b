"""The secrets of ``docker-compose.yaml``, generated into ``.env``.

Needs nothing but Python: a machine that only runs containers has no environment of ours.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from deepfactor.stack.credentials import Credentials
from deepfactor.stack.errors import StackError


def generate() -> dict[str, str]:
    """Return a value for every secret that ``docker-compose.yaml`` asks for.

    They consist of letters, digits, ``-``, ``_`` and ``=``, which mean nothing to compose or in an address.
    """
    airflow, administrator = Credentials(), Credentials()
    return {
        "DEEPFACTOR_POSTGRES_PASSWORD": secrets.token_urlsafe(30),
        "DEEPFACTOR_REDIS_PASSWORD": secrets.token_urlsafe(30),
        "DEEPFACTOR_S3_ACCESS_KEY": airflow.access_key,
        "DEEPFACTOR_S3_SECRET_KEY": airflow.secret_key,
        "DEEPFACTOR_S3_ADMIN_ACCESS_KEY": administrator.access_key,
        "DEEPFACTOR_S3_ADMIN_SECRET_KEY": administrator.secret_key,
        "DEEPFACTOR_FERNET_KEY": airflow.fernet_key,
        "DEEPFACTOR_API_SECRET_KEY": airflow.session_key,
        "DEEPFACTOR_JWT_SECRET": airflow.token_key,
        "DEEPFACTOR_ADMIN_PASSWORD": airflow.password,
    }


def write_environment(path: Path) -> None:
    """Write generated secrets into a file that only its owner can read.

    Raises
    ------
    StackError
        If the file is there: its secrets may be in use, and what they protect is lost without them.
    """
    text = "".join(f"{name}={value}\n" for name, value in generate().items())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StackError(
            f"{path} is there already, and its secrets may be in use: nothing was written. "
            "Remove it only together with the volumes (docker compose down --volumes)"
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    try:
        write_environment(Path(sys.argv[1]))
    except StackError as error:
        sys.exit(f"error: {error}")
