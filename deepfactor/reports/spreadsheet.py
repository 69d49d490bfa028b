"""Tables for spreadsheets."""

from __future__ import annotations

import polars as pl

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = r"[=+\-@＝＋－＠]"
# What a cell begins with that spreadsheets compute, or may come to compute once what is not seen has been removed.
_COMPUTED = rf"^([\t\r\n]|[\s\p{{C}}]*{_FORMULA})"
# Where the decimal sign is a comma, spreadsheets divide a line at semicolons or tabs, and quotes do not hold that back.
_COMPUTED_WITHIN = rf'([;\t\r\n][\s\p{{C}}"]*)({_FORMULA})'


def frame_to_csv(frame: pl.DataFrame) -> bytes:
    """Return a frame as comma-separated values in UTF-8, with a header; the same frame gives the same bytes.

    Figures have all their digits: what is read back is the same number. Text is quoted. What a spreadsheet would
    compute gets an apostrophe before it, and is the only text that does not read back as it was. A text of digits is
    left as it is, though a spreadsheet takes it for a number unless its column is imported as text: what would keep
    it from that would be part of it for every other reader.
    """
    within = pl.col(pl.String).str.replace_all(_COMPUTED_WITHIN, "${1}'${2}")
    harmless = within.str.replace(_COMPUTED, "'${1}")
    return frame.with_columns(harmless).write_csv(quote_style="non_numeric").encode()
