"""Tables for spreadsheets."""

from __future__ import annotations

import polars as pl

# What a cell begins with that spreadsheets compute, or may come to compute once white space has been removed.
# https://owasp.org/www-community/attacks/CSV_Injection
_COMPUTED = r"^([=+\-@＝＋－＠\t\r\n])"


def frame_to_csv(frame: pl.DataFrame) -> bytes:
    """Return a frame as comma-separated values in UTF-8, with a header; the same frame gives the same bytes.

    Figures have all their digits: what is read back is the same number. Text is quoted. Text that a spreadsheet would
    compute gets an apostrophe before it, and is the only thing that does not read back as it was. A text of digits is
    left as it is, though a spreadsheet takes it for a number unless its column is imported as text: what would keep
    it from that would be part of it for every other reader.
    """
    harmless = pl.col(pl.String).str.replace(_COMPUTED, "'${1}")
    return frame.with_columns(harmless).write_csv(quote_style="non_numeric").encode()
