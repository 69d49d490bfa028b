"""Failures of a backfill."""

from __future__ import annotations

from deepfactor.errors import DeepfactorError


class BackfillError(DeepfactorError):
    """A backfill cannot be started or followed as it was asked for."""
