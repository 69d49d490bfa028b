"""Failures of a page that are the request's, not the store's."""

from __future__ import annotations

from deepfactor.errors import DeepfactorError


class NotThere(DeepfactorError):
    """The address names a month, security, evaluation or object that is not there."""


class TooLarge(DeepfactorError):
    """The object is larger than a browser should be sent."""
