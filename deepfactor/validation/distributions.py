"""How a column's values of the month lie beside those of other months before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.months import Month

# The median of fewer values says little; the facts are null then.
_FEWEST = 20

SCHEMA = {
    "column": pl.String,
    "values": pl.Int64,
    "values_before": pl.Int64,
    "missing_share": pl.Float64,
    "missing_rise": pl.Float64,
    "zero_rise": pl.Float64,
    "negative_rise": pl.Float64,
    "unchanged_rise": pl.Float64,
    "smallest": pl.Float64,
    "largest": pl.Float64,
    "scale": pl.Float64,
    "shift": pl.Float64,
    "distance": pl.Float64,
}


def distribution_facts(
    table: pl.DataFrame,
    month: Month,
    before: Sequence[Month],
    columns: Sequence[str],
    growth: Mapping[Month, float] | None = None,
) -> pl.DataFrame:
    """Compare each column's values of a month with those of other months, pooled.

    Parameters
    ----------
    table
        ``month`` (its first day), ``security_id`` and the columns.
    month
        The month that is judged.
    before
        The months it is compared with.
    columns
        Numeric columns.
    growth
        What every value is divided by, by month, so that a move of the whole market is no drift; 1 where absent.

    Returns
    -------
    DataFrame
        One row per ``column``:

        - ``values``, ``values_before``: how many are known.
        - ``missing_share``: share of the month's rows without a value; ``missing_rise``: by how much it exceeds the
          share before. So do ``zero_rise`` and ``negative_rise`` for shares of known values, and ``unchanged_rise``
          for the share of values that are those of the same stock in the month before.
        - ``smallest``, ``largest``: of the month.
        - ``scale``: median size (absolute, zeros left out) over the median size before: 1,000 where millions became
          thousands.
        - ``shift``: change of the median in interquartile ranges of the values before.
        - ``distance``: of Kolmogorov and Smirnov, the largest difference of the two distribution functions, 0 to 1.

        The last three are null with fewer than 20 values on either side, rises with fewer than 20 rows.
    """
    days = [each.first_day for each in {month, *before} | {each + -1 for each in (month, *before)}]
    scaled = _without_growth(table.filter(pl.col("month").is_in(days)), columns, growth or {})
    days_before = [each.first_day for each in before]
    rows = []
    for column in columns:
        known = _beside_the_month_before(scaled, column)
        now, older = known.filter(pl.col("month") == month.first_day), known.filter(pl.col("month").is_in(days_before))
        rows.append({"column": column, **_facts(now, older)})
    return pl.DataFrame(rows, schema=SCHEMA)


def ks_distance(now: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    """Return the two-sample statistic of Kolmogorov and Smirnov."""
    points = np.concatenate([now, before])
    shares = [np.searchsorted(np.sort(each), points, side="right") / len(each) for each in (now, before)]
    return float(np.abs(shares[0] - shares[1]).max())


def _without_growth(table: pl.DataFrame, columns: Sequence[str], growth: Mapping[Month, float]) -> pl.DataFrame:
    levels = pl.DataFrame(
        [(month.first_day, level) for month, level in growth.items()],
        schema={"month": pl.Date, "growth": pl.Float64},
        orient="row",
    )
    joined = table.select("month", "security_id", *columns).join(levels, on="month", how="left", maintain_order="left")
    return joined.with_columns(pl.col(columns) / pl.col("growth").fill_null(1.0), raw=pl.struct(columns)).drop("growth")


def _beside_the_month_before(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return ``month``, ``value`` without growth, ``raw`` value as delivered, and whether that is ``unchanged``."""
    own = table.select("month", "security_id", value=column, raw=pl.col("raw").struct.field(column))
    older = own.select("security_id", pl.col("month").dt.offset_by("1mo"), before="raw")
    # A stock that stands twice in a month is reported as such; here it must not multiply rows.
    once = older.unique(["security_id", "month"], keep="first", maintain_order=True)
    joined = own.join(once, on=["security_id", "month"], how="left", maintain_order="left")
    unchanged = pl.when(pl.col("raw") != 0).then(pl.col("raw") == pl.col("before"))
    return joined.select("month", "value", "raw", unchanged=unchanged)


def _facts(now: pl.DataFrame, before: pl.DataFrame) -> dict[str, Any]:
    shares = [
        each.select(
            missing=pl.col("raw").is_null().mean(),
            zero=(pl.col("raw") == 0).mean(),
            negative=(pl.col("raw") < 0).mean(),
            unchanged=pl.col("unchanged").mean(),
        ).row(0, named=True)
        for each in (now, before)
    ]
    many = min(now.height, before.height) >= _FEWEST
    rises = {f"{name}_rise": _difference(shares[0][name], shares[1][name]) if many else None for name in shares[0]}
    raw = now["raw"].drop_nulls()
    values, values_before = (each["value"].drop_nulls().to_numpy() for each in (now, before))
    return {
        "values": len(values),
        "values_before": len(values_before),
        "missing_share": shares[0]["missing"],
        **rises,
        "smallest": raw.min(),
        "largest": raw.max(),
        **_compared(values, values_before),
    }


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _compared(now: NDArray[np.float64], before: NDArray[np.float64]) -> dict[str, float | None]:
    if min(len(now), len(before)) < _FEWEST:
        return {"scale": None, "shift": None, "distance": None}
    low, middle, high = np.quantile(before, [0.25, 0.5, 0.75])
    sizes = [_median_size(each) for each in (now, before)]
    return {
        "scale": sizes[0] / sizes[1] if sizes[1] > 0 else None,
        "shift": float(np.median(now) - middle) / float(high - low) if high > low else None,
        "distance": ks_distance(now, before),
    }


def _median_size(values: NDArray[np.float64]) -> float:
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) if len(sizes) else 0.0
