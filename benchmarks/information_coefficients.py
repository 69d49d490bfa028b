"""Whether the 16 descriptors say on real data what they are known to say: rank correlations with next month's return.

The mean over months of Spearman's rank correlation between a descriptor and the total return of the month after, over
all stocks with a market value, on Japanese equities from 2010-07, after validation has set aside what is wrong. Exits
with 1 where a sign is not the known one, or the size is not: more than two standard errors from the known figure. A
figure that is itself within two standard errors of zero has no sign to be held to.

    python benchmarks/information_coefficients.py [folder]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import polars as pl

from deepfactor.config import INCLUDE, UniverseConfig, load_config
from deepfactor.descriptors import FACTOR_OF, NAMES, describe
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from deepfactor.sources import open_source
from deepfactor.validation import validate

FOLDER = INCLUDE.parents[1] / "shared" / "market-jp"
FIRST_DELIVERED, FIRST, LAST = (Month.parse(each) for each in ("1999-05", "2010-07", "2018-12"))
# From the drop's README: the same market to 2022, by another program.
KNOWN = {"PER": 0.045, "PBR": 0.041, "ROA": 0.033, "60VOL": -0.050, "SKEW": -0.047, "1MOM": -0.039, "12-1MOM": -0.009}


def coefficients(described: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each month, with the rank correlation of each descriptor with the return of the month after."""
    after = described.select(
        "security_id", month=pl.col("month").dt.offset_by("-1mo"), return_after="total_return"
    ).drop_nulls()
    pairs = described.filter("in_universe", pl.col("month") >= FIRST.first_day).join(after, on=["month", "security_id"])
    return pairs.group_by("month").agg(pl.corr(name, "return_after", method="spearman").alias(name) for name in NAMES)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        print(f"skipped: the real drop is not at {folder}; give its folder as an argument")
        return 0
    window = Window(LAST, training_months=LAST - FIRST_DELIVERED, lags=(0,), rolling_months=0)
    config = load_config(INCLUDE / "config" / "market_jp.yaml", folder)
    source = open_source(config.source)
    tables = {name: source.fetch(name, window.first_history, LAST) for name in source.datasets()}
    validation = validate(tables, window, config)
    described = describe(build_panel(validation.tables, window, UniverseConfig(), config.calendar), window)
    monthly = coefficients(described)
    print(f"{monthly.height} months, {FIRST} … {LAST + -1}; {validation.quarantined.height:,} rows set aside\n")
    print(f"{'descriptor':12}{'factor':10}{'mean rank IC':>13}{'t':>7}{'months > 0':>12}{'known':>8}")
    wrong = []
    for name in NAMES:
        each = monthly[name].drop_nulls().drop_nans()
        mean, error = float(each.mean()), float(each.std()) / math.sqrt(each.len())  # type: ignore[arg-type]
        known = KNOWN.get(name)
        shown = "" if known is None else f"{known:+.3f}"
        positive = float((each > 0).mean())  # type: ignore[arg-type]
        print(f"{name:12}{FACTOR_OF[name]:10}{mean:>+13.3f}{mean / error:>7.1f}{positive:>12.0%}{shown:>8}")
        if known is not None and (abs(mean - known) > 2 * error or (mean * known < 0 and abs(known) > 2 * error)):
            wrong.append(name)
    if wrong:
        print(f"\nnot the known sign or size: {', '.join(wrong)}")
    for fault in validation.verdict["faults"]:
        print(f"\nvalidation stops: {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
