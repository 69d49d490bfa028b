"""Published objects for a browser: only what a manifest names, only whole, and unable to reach anything else."""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from deepfactor.config import INCLUDE
from deepfactor.errors import IntegrityError
from deepfactor.objects import Reference
from deepfactor.pages.errors import NotThere, TooLarge
from deepfactor.reports.numbers import size
from deepfactor.store import Store

# Bodies are held in memory, and several people may ask at once.
LARGEST = 64_000_000

_RULES = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
# Data Docs are rendered by a library from values of the data: should it once escape one of them too little, nothing in
# them runs, moves or submits. They keep their origin, with which the links between them go on being logged in.
DOCUMENT_POLICY = f"{_RULES}; sandbox allow-same-origin"

_SHOWN = {".html": "text/html; charset=utf-8", ".json": "application/json", ".md": "text/plain; charset=utf-8"}
_SAVED = {".csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class File:
    """An object, and how it is sent.

    Attributes
    ----------
    reference
        The object.
    media_type
        Of its body.
    disposition
        ``inline`` or an attachment with its name.
    """

    reference: Reference
    media_type: str
    disposition: str

    @property
    def entity_tag(self) -> str:
        """What changes with the body: its checksum."""
        return f'"{self.reference.sha256}"'


def find_file(objects: Mapping[str, Reference], folder: str, name: str, prefix: str) -> File:
    """Return one of the objects that a manifest or record names.

    Parameters
    ----------
    objects
        References by name.
    folder
        Where all of them must lie, without a slash at the end. So what a forged manifest says leads nowhere else.
    name
        As the address has it. It is looked up, and never made into a key.
    prefix
        Begins the name under which a browser saves the file.

    Raises
    ------
    NotThere
        If no object has this name.
    IntegrityError
        If it lies somewhere else.
    TooLarge
        If it is too large to be sent.
    """
    reference = objects.get(name)
    if reference is None:
        raise NotThere(f"nothing that was published here is called {name!r}; the manifest lists what is there")
    if reference.key != f"{folder}/{name}":
        raise IntegrityError(
            f"{name} should lie in {folder}/, and the manifest says {reference.key}: it was not written by a "
            "publication; publish the month again with --replace"
        )
    if reference.size > LARGEST:
        raise TooLarge(
            f"{name} has {size(reference.size)}, and files of more than {size(LARGEST)} are not sent to a browser: "
            f"fetch {reference.key} with an S3 client"
        )
    suffix = posixpath.splitext(name)[1]
    if suffix in _SHOWN:
        return File(reference, _SHOWN[suffix], "inline")
    saved = quote(f"{prefix}-{name.replace('/', '-')}", safe="")
    media_type = _SAVED.get(suffix, "application/octet-stream")
    return File(reference, media_type, f"attachment; filename*=UTF-8''{saved}")


def read_file(store: Store, file: File) -> tuple[bytes, str]:
    """Read an object, checked against its checksum, and say what a browser may let it do.

    Returns
    -------
    bytes, str
        Its body, and a content security policy.

    Raises
    ------
    IntegrityError
        If it is missing or its bytes differ.
    """
    body = store.read(file.reference)
    if not file.media_type.startswith("text/html"):
        return body, "sandbox; default-src 'none'"
    return body, policy(body) if posixpath.basename(file.reference.key) == "report.html" else DOCUMENT_POLICY


def policy(page: bytes) -> str:
    """Return the content security policy of a report.

    It asks nothing of the network, and runs no script but that of this version's month's page. The script of a page of
    another version runs, too, but in a sandbox, where the page belongs to no origin: it can neither ask Airflow
    anything in the reader's name nor read what is shown around it.
    """
    known = _month_script()
    if b"<script" not in page or known.encode() in page:
        return f"{_RULES}; script-src {known}"
    return f"{_RULES}; script-src 'unsafe-inline'; sandbox allow-scripts allow-downloads"


@cache
def _month_script() -> str:
    """Return by what a policy allows the script of a month's page."""
    digest = hashlib.sha256((INCLUDE / "templates" / "month.js").read_bytes()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
