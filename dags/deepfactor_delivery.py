"""Waiting for the vendor: how long a month may be missing, and what to say when it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import timezone

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from deepfactor.months import Month
    from deepfactor.sources import Source

LOGGER = logging.getLogger(__name__)


def delivered(month: Month, source: Source, name: str, due: datetime, patience: timedelta) -> bool:
    """Tell whether the vendor has delivered a month; false where it is worth while to look again later.

    Parameters
    ----------
    month
        The as-of month.
    source, name
        The vendor, and what it is called in messages.
    due
        When the month is due.
    patience
        How long after that it is waited for.

    Raises
    ------
    SourceError
        If the month is missing and not worth waiting for: its time has passed, or has not come yet.
    SourceUnreachable
        If its time has passed and the source does not answer.
    """
    from deepfactor.errors import SourceError, SourceUnreachable

    now, last = timezone.utcnow(), due + patience
    try:
        if source.ready(month):
            return True
        state = "is not there yet"
    except SourceUnreachable as error:
        if now > last:
            raise
        state = f"is not known: {error}"
    if now < due:
        raise SourceError(
            f"{month} is not in {name}, and not due before {due:%Y-%m-%d %H:%M %Z}: ask for it then, or for an "
            "earlier one"
        )
    if now > last:
        raise SourceError(
            f"{month} is not in {name}; it was due on {due:%Y-%m-%d %H:%M %Z} and waited for until "
            f"{last:%Y-%m-%d %H:%M %Z}: have the vendor deliver it, then clear this task"
        )
    LOGGER.info("%s in %s %s; waiting until %s", month, name, state, f"{last:%Y-%m-%d %H:%M %Z}")
    return False
