"""Failures that are expected to happen, each with a message for the person who has to act.

``retryable`` tells an orchestrator whether the same call can succeed later without anybody changing anything.
"""

from __future__ import annotations

from typing import ClassVar


class DeepfactorError(Exception):
    """A failure with a message that says what is wrong, where, and what to do."""

    retryable: ClassVar[bool] = False


class ConfigurationError(DeepfactorError):
    """A configuration file, mapping or expectation suite does not say what it must."""


class SourceError(DeepfactorError):
    """A delivery is missing, unreadable, or holds a value that cannot be what it should be."""


class SourceUnreachable(SourceError):
    """A source does not answer, or asks to wait longer than is sensible; it may answer later."""

    retryable = True


class SourceChanged(SourceError):
    """A delivery was changed while it was read; read again once the vendor has finished, it may be whole."""

    retryable = True


class SchemaError(DeepfactorError):
    """A table lacks a column, or holds it in another type than ``schemas`` says."""


class HistoryError(DeepfactorError):
    """There are too few months, stocks or samples for what was asked."""


class ValidationFailed(DeepfactorError):
    """The month's data did not pass its expectations, so nothing is computed from it."""


class TrainingError(DeepfactorError):
    """A model could not be trained to something better than a constant."""


class NotBlessed(DeepfactorError):
    """A gate refused the month, so nothing is published."""


class StoreError(DeepfactorError):
    """The store refused, lost or changed something."""


class StoreUnreachable(StoreError):
    """The store does not answer; it may later."""

    retryable = True


class IntegrityError(StoreError):
    """An object is missing, or its bytes are not those that were written."""


class WriteLost(IntegrityError):
    """The store accepts a write and does not keep it, most likely for want of room; later there may be."""

    retryable = True


class PublicationConflict(StoreError):
    """Another run has published this month."""


class PublishedMeanwhile(PublicationConflict):
    """Another process has published the same while this one computed; done again, it takes that into account."""

    retryable = True
