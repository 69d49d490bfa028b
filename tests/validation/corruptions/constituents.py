"""Members of the universe that go wrong."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    AFTER,
    NEWEST,
    Corruption,
    Reported,
    Stopped,
    again,
    append,
    every,
    first_of,
    keep,
    last_codes,
    other_codes,
)

DAMAGED_CONSTITUENTS = [
    Corruption("no members", lambda t: keep(t, "constituents", ~NEWEST), Stopped("the month has no constituents")),
    Corruption(
        "half of the members", lambda t: keep(t, "constituents", ~(NEWEST & every(2))), Stopped("members are missing")
    ),
    Corruption(
        "members without the end of the list",
        lambda t: keep(t, "constituents", ~(NEWEST & last_codes(t))),
        Stopped("a run of neighbouring codes is gone"),
    ),
    Corruption(
        "a member twice", lambda t: append(t, "constituents", first_of(t, "constituents")), Stopped("stands twice")
    ),
    Corruption(
        "members with another code",
        lambda t: other_codes(t, "constituents", NEWEST, pl.format("{}.T", "security_id")),
        Stopped("no price in the month"),
    ),
    Corruption("members of ten years ago", lambda t: again(t, "constituents", 120), Stopped("no price in the month")),
    Corruption("members of two years ago", lambda t: again(t, "constituents", 24), Reported("few members gone")),
    Corruption(
        "members after the month",
        lambda t: append(t, "constituents", first_of(t, "constituents").with_columns(month=pl.lit(AFTER))),
        Stopped("constituents: a row became known after"),
    ),
]
