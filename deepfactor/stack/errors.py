"""Failures of the embedded stack."""

from __future__ import annotations

from deepfactor.errors import DeepfactorError


class StackError(DeepfactorError):
    """A part of the embedded stack does not start, answer or stop."""
