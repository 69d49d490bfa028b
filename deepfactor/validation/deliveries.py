"""Whether a month's delivery is that month's: not an older one again, not cut off, not of other stocks."""

from __future__ import annotations

import polars as pl

from deepfactor.months import Month


def repetition(prices: pl.DataFrame, month: Month) -> pl.DataFrame:
    """Return how much of a month's prices stood under one earlier month already.

    A close and a volume that are both those of an earlier month are next to impossible for a stock that trades; for a
    quarter of them to be, the file must be that month's.

    Parameters
    ----------
    prices
        ``schemas.PRICES``.
    month
        The month that is judged.

    Returns
    -------
    DataFrame
        One row: ``month``, ``repeated_share`` (0 to 1, of the stocks that trade; null if there are none) and
        ``repeated_month``, the earlier month that most of them are of.
    """
    columns = ["security_id", "close", "volume"]
    trading = prices.filter(pl.col("close").is_not_null(), pl.col("volume").is_null() | (pl.col("volume") > 0))
    now = trading.filter(pl.col("month") == month.first_day).select(columns).unique(maintain_order=True)
    earlier = trading.filter(pl.col("month") < month.first_day).select(*columns, repeated_month="month")
    most = (
        now.join(earlier, on=columns, nulls_equal=True)
        .group_by("repeated_month")
        .agg(repeated=pl.len())
        .sort("repeated", "repeated_month", descending=True)
        .head(1)
    )
    share = (most["repeated"].sum() / now.height) if now.height else None
    return pl.DataFrame(
        {
            "month": [month.first_day],
            "repeated_share": [share],
            "repeated_month": [most["repeated_month"].first()],
        },
        schema={"month": pl.Date, "repeated_share": pl.Float64, "repeated_month": pl.Date},
    )


def turnover(members: pl.DataFrame) -> pl.DataFrame:
    """Return who left and who came, by month.

    Parameters
    ----------
    members
        ``month`` and ``security_id``, of any table.

    Returns
    -------
    DataFrame
        ``month``, ``stocks``, and against the calendar month before, null where that has none: ``stocks_ratio``;
        ``gone_share`` of its stocks that are no longer there; ``new_share`` of the month's stocks that were not
        there; ``longest_gap``, the longest run of its codes, in order, that are gone, as a share of its stocks: a
        file that was cut off, or one of several files that is missing, leaves out neighbours.
    """
    own = members.select("month", "security_id").drop_nulls().unique().sort("month", "security_id")
    stock = ["month", "security_id"]
    older = own.with_columns(pl.col("month").dt.offset_by("1mo"))
    came = own.join(older, on=stock, how="left", maintain_order="left", coalesce=False, suffix="_before")
    now = came.group_by("month").agg(stocks=pl.len(), new=pl.col("security_id_before").is_null().sum())
    left = older.join(own, on=stock, how="left", maintain_order="left", coalesce=False, suffix="_now")
    gone = left.select("month", gone=pl.col("security_id_now").is_null()).with_columns(
        run=pl.col("gone").rle_id().over("month")
    )
    runs = gone.group_by("month", "run").agg(length=pl.col("gone").sum())
    before = (
        gone.group_by("month")
        .agg(gone_share=pl.col("gone").mean(), stocks_before=pl.len())
        .join(runs.group_by("month").agg(longest=pl.col("length").max()), on="month")
    )
    return (
        now.join(before, on="month", how="left")
        .select(
            "month",
            "stocks",
            "gone_share",
            stocks_ratio=pl.col("stocks") / pl.col("stocks_before"),
            new_share=pl.when(pl.col("stocks_before").is_not_null()).then(pl.col("new") / pl.col("stocks")),
            longest_gap=pl.col("longest") / pl.col("stocks_before"),
        )
        .sort("month")
    )


def odd_codes(table: pl.DataFrame) -> pl.DataFrame:
    """Return ``month`` and ``odd_codes``, codes of a form that no month before had: a zero lost, another alphabet.

    The form of ``1301`` is ``9999``, of ``130a`` it is ``999a``. Null for the first month.
    """
    form = (
        pl.col("security_id")
        .str.replace_all(r"\d", "9")
        .str.replace_all(r"\p{Lu}", "A")
        .str.replace_all(r"\p{Ll}", "a")
    )
    codes = table.select("month", "security_id", form=form).drop_nulls()
    first = codes.group_by("form").agg(first=pl.col("month").min())
    month = pl.col("month")
    odd = codes.join(first, on="form").group_by("month").agg(odd_codes=(month == pl.col("first")).sum())
    return odd.with_columns(odd_codes=pl.when(month > month.min()).then("odd_codes")).sort("month")
