"""Where a secret has gone that it should not: files, the database, command lines."""

from __future__ import annotations

import base64
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
from sqlalchemy import create_engine, text

# Header and claims of a JSON web token; its third part is what has to be kept.
_TOKEN = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")


def needles(secrets: Mapping[str, str]) -> dict[str, bytes]:
    """Return each secret as it is, and as it would stand in an address or encoded."""
    found: dict[str, bytes] = {}
    for name, secret in secrets.items():
        assert len(secret) >= 12, f"{name} is too short to be looked for"
        forms = {
            "": secret.encode(),
            " in an address": quote(secret, safe="").encode(),
            " in hexadecimal digits": secret.encode().hex().encode(),
            " in base64": base64.b64encode(secret.encode())[:-4],
        }
        found |= {f"{name}{how}": form for how, form in forms.items()}
    return found


def in_files(folder: Path, secrets: Mapping[str, str], but: Iterable[Path] = ()) -> list[str]:
    """Return the files below a folder in which a secret or a token stands.

    Parameters
    ----------
    folder
        Everything below it is looked at; special files and what vanishes meanwhile are not.
    secrets
        By name.
    but
        Where they belong.
    """
    allowed, wanted, found = set(but), needles(secrets), []
    for path in _files(folder):
        if path in allowed:
            continue
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found += [f"{name} in {path}" for name, form in wanted.items() if content.find(form) >= 0]
                if _TOKEN.search(content):
                    found.append(f"a token in {path}")
        except (OSError, ValueError):
            continue
    return found


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            # What is empty cannot be mapped, and a pipe would keep its reader waiting.
            if path.is_file() and not path.is_symlink():
                yield path


def in_database(address: str, secrets: Mapping[str, str]) -> tuple[list[str], dict[str, int]]:
    """Return the tables in a row of which a secret or a token stands, and how many rows each table has."""
    wanted, found, rows = needles(secrets), [], {}
    engine = create_engine(address)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        for table in tables:
            contents = connection.execute(text(f'SELECT row_to_json(each)::text FROM "{table}" each')).scalars().all()  # noqa: S608 - names of the database's own
            content = "\n".join(contents).encode()
            rows[table] = len(contents)
            found += [f"{name} in the table {table}" for name, form in wanted.items() if form in content]
            if _TOKEN.search(content):
                found.append(f"a token in the table {table}")
    engine.dispose()
    return found, rows


def in_command_lines(secrets: Mapping[str, str]) -> list[str]:
    """Return the processes of this machine whose command line says a secret."""
    wanted, found = needles(secrets), []
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or []).encode()
        found += [f"{name} in the command line of {process.pid}" for name, form in wanted.items() if form in line]
    return found


def readable_by_others(paths: Iterable[Path]) -> list[Path]:
    """Return the files that others than their owner can read or write."""
    return [path for path in paths if path.stat().st_mode & 0o077]
