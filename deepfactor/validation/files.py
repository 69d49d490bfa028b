"""A verdict as files: for the store, or for a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deepfactor.errors import ConfigurationError
from deepfactor.objects import frame_to_bytes, json_to_bytes
from deepfactor.validation.verdict import Validation


def verdict_files(validation: Validation) -> dict[str, bytes]:
    """Return the verdict, the rows set aside and the Data Docs, by relative path."""
    return {
        "verdict.json": json_to_bytes(validation.verdict),
        "quarantined.parquet": frame_to_bytes(validation.quarantined),
        **{f"data_docs/{path}": body for path, body in validation.documents.items()},
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder; those of an older verdict are replaced.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written to.
    """
    try:
        for path, body in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: the verdict cannot be written there ({error.strerror}); name a folder that can be written to"
        ) from None
