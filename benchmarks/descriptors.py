"""How fast the 16 descriptors are computed, and in how much memory, beside pandas.

Each case runs in a process of its own, so that its peak memory is its own; the peak includes the panel itself.

    python benchmarks/descriptors.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from deepfactor.descriptors import NAMES, describe
from deepfactor.months import Month, Window
from deepfactor.schemas import PANEL

FIRST_MONTH = Month.parse("1976-01")
PAPER = (1_948, 303)  # the paper's average number of stocks, December 1990 to March 2016
GLOBAL = (50_000, 480)  # every listed stock of the world, over 40 years
# What a rolling sum leaves behind of returns that have left its window; pandas keeps one.
AGREEMENT = 1e-6


def simulated_panel(stocks: int, months: int) -> pl.DataFrame:
    """Return a panel of random numbers with the shape of a real one: fat tails, gaps, missing and negative figures."""
    random = np.random.Generator(np.random.PCG64(1))
    rows = stocks * months
    calendar = pl.Series([(FIRST_MONTH + month).first_day for month in range(months)])
    names = pl.Series([f"{stock:06d}" for stock in range(stocks)])
    listed = pl.Series(random.random(rows) > 0.005)
    returns = np.maximum(0.06 * random.standard_t(4, rows), -0.95)
    returns[random.random(rows) < 0.01] = np.nan
    total_return = pl.Series(returns, nan_to_null=True)
    columns = {
        "month": calendar.gather(np.tile(np.arange(months), stocks)),
        "security_id": names.gather(np.repeat(np.arange(stocks), months)),
        "listed": listed,
        "total_return": total_return,
        "excess_return": total_return - 0.001,
        "market_excess_return": pl.Series(np.tile(random.normal(0.004, 0.05, months), stocks)),
        "traded_value": pl.Series(np.round(np.exp(random.normal(18, 2, rows)))),
        "market_value": pl.Series(np.exp(random.normal(24, 1.5, rows))),
        "in_universe": listed,
    }
    figures = [name for name in PANEL.columns if name not in columns]
    for name in figures:
        columns[name] = pl.Series(random.normal(1e9, 1e9, rows))
    return pl.DataFrame(columns).select(*PANEL.columns)


def with_pandas(panel: pd.DataFrame) -> pd.DataFrame:
    """Compute the same 16 as they are usually written with pandas."""
    stock = panel["security_id"]

    def rolling(values: pd.Series, months: int, minimum: int):
        return values.groupby(stock, sort=False).rolling(months, min_periods=minimum)

    def over(numerator: pd.Series, denominator: str) -> pd.Series:
        return numerator / panel[denominator].where(panel[denominator] > 0)

    def past(values: pd.Series) -> np.ndarray:
        return values.reset_index(drop=True).to_numpy()

    returns = panel["total_return"]
    both = panel["excess_return"].notna() & panel["market_excess_return"].notna()
    own, market = panel["excess_return"].where(both), panel["market_excess_return"].where(both)
    mean_own, mean_market, mean_product, mean_square = (
        past(rolling(each, 60, 36).mean()) for each in (own, market, own * market, market**2)
    )
    growth = np.log1p(returns)
    past_year = pd.Series(past(rolling(growth, 11, 9).sum())).groupby(stock, sort=False).shift(1)
    described = {
        "60VOL": past(rolling(returns, 60, 36).std()),
        "BETA": (mean_product - mean_own * mean_market) / (mean_square - mean_market**2),
        "SKEW": past(rolling(returns, 60, 36).skew()),
        "ROE": over(panel["net_income"], "net_assets"),
        "ROA": over(panel["operating_profit"], "total_assets"),
        "ACCRUALS": panel["operating_cash_flow"] - panel["operating_profit"],
        "LEVERAGE": over(panel["total_liabilities"], "total_assets"),
        "12-1MOM": np.expm1(past_year),
        "1MOM": returns,
        "60MOM": np.expm1(past(rolling(growth, 60, 36).sum())),
        "PSR": over(panel["sales"], "market_value"),
        "PER": over(panel["net_income"], "market_value"),
        "PBR": over(panel["net_assets"], "market_value"),
        "PCFR": over(panel["operating_cash_flow"], "market_value"),
        "CAP": np.log(panel["market_value"].where(panel["market_value"] > 0)),
        "ILLIQ": past(rolling(over(returns.abs(), "traded_value"), 12, 9).mean()),
    }
    frame = pd.DataFrame({"month": panel["month"], "security_id": stock} | described)
    return frame[panel["listed"]].sort_values(["month", "security_id"]).reset_index(drop=True)


def largest_difference(ours: pl.DataFrame, theirs: pd.DataFrame) -> float:
    """Return the largest difference, relative to the number or to a thousandth of the column's usual size.

    Raises
    ------
    SystemExit
        If one has a value where the other has none.
    """
    differences = []
    for name in NAMES:
        a, b = ours[name].to_numpy(), theirs[name].to_numpy(dtype=float)
        if (np.isnan(a) != np.isnan(b)).any():
            sys.exit(f"{name}: values are missing in different rows")
        there = ~np.isnan(a)
        scale = np.maximum(np.abs(a[there]), np.median(np.abs(a[there])) / 1000)
        differences.append(float((np.abs(a - b)[there] / scale).max()))
    return max(differences)


def run_case(engine: str, stocks: int, months: int, repeats: int) -> None:
    """Run one case and print what was measured as JSON."""
    window = Window(FIRST_MONTH + (months - 1), training_months=months - 1, lags=(0,), rolling_months=0)
    panel = simulated_panel(stocks, months)
    facts: dict[str, Any] = {"stock_months": panel.height}
    theirs = panel.to_pandas() if engine != "deepfactor" else None
    seconds, processor_seconds = [], []
    for _ in range(repeats):
        result = None  # or two results would be in memory at a time
        started, started_processor = perf_counter(), process_time()
        result = describe(panel, window) if theirs is None else with_pandas(theirs)
        seconds.append(perf_counter() - started)
        processor_seconds.append(process_time() - started_processor)
    facts |= {"seconds": seconds, "processor_seconds": processor_seconds}
    facts["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if theirs is not None:
        facts["difference"] = largest_difference(describe(panel, window), result)
    print(json.dumps(facts))


def measured(engine: str, shape: tuple[int, int], repeats: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--case", engine, *map(str, shape), str(repeats)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return json.loads(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the 24 million stock-months")
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        engine, *numbers = arguments.case
        run_case(engine, *map(int, numbers))
        return
    cases = [("deepfactor", PAPER, 15), ("pandas", PAPER, 3)]
    if not arguments.quick:
        cases.append(("deepfactor", GLOBAL, 3))
    print(f"{'':12}{'stock-months':>14}{'best, s':>10}{'median, s':>11}{'CPU, s':>10}{'peak, GB':>10}")
    found = []
    for engine, shape, repeats in cases:
        facts = measured(engine, shape, repeats)
        found.append(facts)
        seconds = facts["seconds"]
        print(
            f"{engine:12}{facts['stock_months']:>14,}{min(seconds):>10.2f}{median(seconds):>11.2f}"
            f"{median(facts['processor_seconds']):>10.2f}{facts['gigabytes']:>10.2f}",
            flush=True,
        )
    ratio = min(found[1]["seconds"]) / min(found[0]["seconds"])
    print(
        f"\npandas takes {ratio:.0f} times as long (best); the largest relative difference between the two is "
        f"{found[1]['difference']:.1e}"
    )
    if found[1]["difference"] > AGREEMENT:
        sys.exit(f"that is more than {AGREEMENT}: one of the two is wrong")


if __name__ == "__main__":
    main()
