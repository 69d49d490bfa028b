"""Moments of the simulated market beside those of real Japanese equities.

    .venv/bin/python benchmarks/market_moments.py ../shared/market-jp --stocks 1948

Without the real drop only the simulated column is printed. A moment is held to be close within the tolerance that
stands beside it: a quarter where a ratio makes sense, an absolute distance where the real one is near zero.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from deepfactor.config import SimulationConfig
from deepfactor.months import Month, last_session
from deepfactor.sources.simulated import land

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "market-jp"
# A change within a month by more than this factor, in either direction, is a wrong price more often than a real one.
_JUMP = 4.0
# Codes whose scale is wrong throughout.
_BOOK_TO_PRICE = (0.03, 12.0)
# A month with fewer stocks is the beginning of a file, not a market.
_FEWEST = 30


@dataclass(frozen=True)
class Sample:
    """A market in the shape that every moment is computed from.

    Attributes
    ----------
    stocks
        ``code``, ``month`` (counted from year 0), ``r`` (total return since the calendar month before, or null),
        ``value`` (market value), ``turnover`` (traded value / market value) and accounts as known at the month's end.
    market
        ``month`` and ``r`` of the index.
    """

    stocks: pl.DataFrame
    market: pl.DataFrame


@dataclass(frozen=True)
class Moment:
    """A moment: what it is, how it is computed, and how close is close."""

    name: str
    of: Callable[[Sample], float]
    tolerance: float = 0.25
    absolute: bool = False
    comparable: bool = True

    def is_close(self, simulated: float, real: float) -> bool:
        """Tell whether a simulated moment lies within the tolerance of the real one, where they can be compared."""
        if not self.comparable:
            return True
        distance = abs(simulated - real)
        return distance <= (self.tolerance if self.absolute else self.tolerance * abs(real))


def sample(prices: pl.DataFrame, fundamentals: pl.DataFrame, market: pl.DataFrame) -> Sample:
    """Clean a delivery of vendor's columns, and join what was known.

    Parameters
    ----------
    prices
        ``date``, ``code``, ``adj_close``, ``traded_value``, ``market_cap``.
    fundamentals
        ``code``, ``period_end``, ``announced``, amounts.
    market
        ``month`` (YYYY-MM) and ``r``.
    """
    accounts = fundamentals.sort("announced", "period_end").filter(
        pl.col("period_end") == pl.col("period_end").cum_max().over("code")
    )
    joined = (
        prices.filter(pl.col("adj_close") > 0)
        .with_columns(month=pl.col("date").dt.year().cast(pl.Int32) * 12 + pl.col("date").dt.month() - 1)
        .sort("date")
        .join_asof(accounts, left_on="date", right_on="announced", by="code", tolerance="549d", check_sortedness=False)
        .sort("code", "month")
    )
    before = pl.col("adj_close").shift(1).over("code")
    change = pl.when(pl.col("month").diff().over("code") == 1).then(pl.col("adj_close") / before)
    credible = change.is_between(1 / _JUMP, _JUMP)
    value = pl.when(pl.col("market_cap") > 0).then("market_cap")
    ratio = (pl.col("net_assets") / value).median().over("code")
    stocks = joined.filter(ratio.is_between(*_BOOK_TO_PRICE) | ratio.is_null()).with_columns(
        r=pl.when(credible).then(change - 1),
        value=value,
        turnover=pl.col("traded_value") / value,
        book_to_price=pl.col("net_assets") / value,
        earnings_yield=pl.col("net_income") / value,
        return_on_equity=pl.when(pl.col("net_assets") > 0).then(pl.col("net_income") / pl.col("net_assets")),
        return_on_assets=pl.col("operating_profit") / pl.col("total_assets"),
        leverage=pl.col("total_liabilities") / pl.col("total_assets"),
        sales_to_assets=pl.col("sales") / pl.col("total_assets"),
    )
    ordinal = pl.col("month").str.slice(0, 4).cast(pl.Int32) * 12 + pl.col("month").str.slice(5, 2).cast(pl.Int32) - 1
    return Sample(stocks.filter(pl.len().over("month") >= _FEWEST), market.with_columns(ordinal.alias("month")))


def _monthly(expression: pl.Expr) -> Callable[[Sample], float]:
    """Return the median over months of a cross-sectional statistic."""

    def compute(data: Sample) -> float:
        each = data.stocks.group_by("month").agg(value=expression, count=pl.col("r").count())
        return _float(each.filter(pl.col("count") >= _FEWEST)["value"].drop_nulls().drop_nans().median())

    return compute


def _yearly_lagged(column: str, lag: int) -> Callable[[Sample], float]:
    """Return the median over months of the rank correlation of a column with itself, some months later."""

    def compute(data: Sample) -> float:
        later = data.stocks.select("code", pl.col("month") - lag, later=column).drop_nulls()
        pairs = data.stocks.select("code", "month", column).drop_nulls().join(later, on=["code", "month"])
        each = pairs.group_by("month").agg(value=pl.corr(column, "later", method="spearman"), count=pl.len())
        return _float(each.filter(pl.col("count") >= _FEWEST)["value"].median())

    return compute


def _by_stock(expression: pl.Expr) -> Callable[[Sample], float]:
    """Return the median over stocks, with five years of returns at least, of a statistic over time."""

    def compute(data: Sample) -> float:
        ordered = data.stocks.sort("code", "month").drop_nulls("r")
        each = ordered.group_by("code").agg(value=expression, count=pl.len()).filter(pl.col("count") >= 60)
        return _float(each["value"].drop_nulls().drop_nans().median())

    return compute


def _of_market(compute: Callable[[np.ndarray], float]) -> Callable[[Sample], float]:
    return lambda data: float(compute(data.market.sort("month")["r"].drop_nulls().to_numpy()))


def _quantile(column: str, probability: float) -> Callable[[Sample], float]:
    return _monthly(pl.col(column).drop_nulls().quantile(probability, "linear"))


def _correlation_between_stocks(data: Sample) -> float:
    """Return the average pairwise correlation, from the variance of the equally weighted mean of standard scores."""
    spread = (pl.col("r") - pl.col("r").mean().over("code")) / pl.col("r").std().over("code")
    full = data.stocks.drop_nulls("r").filter(pl.len().over("code") >= 60).with_columns(z=spread)
    mean = full.group_by("month").agg(pl.col("z").mean(), count=pl.len()).filter(pl.col("count") >= _FEWEST)
    count = _float(mean["count"].mean())
    return (_float((mean["z"] ** 2).mean()) - 1 / count) / (1 - 1 / count)


def _missing(data: Sample) -> float:
    """Return the share of a stock's months, between its first and last, without a price."""
    spans = data.stocks.group_by("code").agg(rows=pl.len(), span=pl.col("month").max() - pl.col("month").min() + 1)
    return 1 - _float(spans["rows"].sum()) / _float(spans["span"].sum())


def _delistings(data: Sample) -> float:
    """Return the stocks that leave in a year, as a share of those listed."""
    last = data.stocks.group_by("code").agg(pl.col("month").max())
    months = data.stocks["month"].n_unique()
    gone = (last["month"] < _float(data.stocks["month"].max())).sum()
    return gone / (data.stocks.height / months) / (months / 12)


def _no_operating_profit(data: Sample) -> float:
    known = data.stocks.drop_nulls("announced")
    return known["operating_profit"].null_count() / known.height


def _lag(values: np.ndarray) -> float:
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


_r = pl.col("r")
_lag_of_r = pl.corr(_r, _r.shift(1))
_lag_of_size = pl.corr(_r.abs(), _r.abs().shift(1))

MOMENTS: tuple[Moment, ...] = (
    Moment("dispersion of returns (cross-section, median)", _monthly(_r.std())),
    Moment("kurtosis of returns (cross-section, median)", _monthly(_r.kurtosis(fisher=False)), 0.4),
    Moment("skewness of returns (cross-section, median)", _monthly(_r.skew()), 0.5),
    Moment("volatility of a stock (monthly, median)", _by_stock(_r.std())),
    Moment("autocorrelation of a stock's return", _by_stock(_lag_of_r), 0.05, absolute=True),
    Moment("autocorrelation of a stock's |return|", _by_stock(_lag_of_size), 0.05, absolute=True),
    Moment("average correlation between stocks", _correlation_between_stocks),
    Moment("volatility of the market (annual)", _of_market(lambda r: r.std(ddof=1) * math.sqrt(12))),
    Moment("worst month of the market", _of_market(np.min)),
    Moment("best month of the market", _of_market(np.max)),
    Moment("autocorrelation of the market", _of_market(_lag), 0.1, absolute=True),
    Moment("autocorrelation of the market's |return|", _of_market(lambda r: _lag(np.abs(r))), 0.1, absolute=True),
    Moment("kurtosis of the market", _of_market(lambda r: ((r - r.mean()) ** 4).mean() / r.var() ** 2)),
    Moment("missing price-months", _missing, 0.001, absolute=True),
    # The real drop holds only firms that were still listed in 2022.
    Moment("delistings a year", _delistings, comparable=False),
    Moment("dispersion of log market value", _monthly(pl.col("value").log().std())),
    Moment("traded value / market value (median)", _quantile("turnover", 0.5)),
    Moment("dispersion of log turnover", _monthly(pl.col("turnover").log().filter(pl.col("turnover") > 0).std())),
    Moment("book-to-price, 5 %", _quantile("book_to_price", 0.05)),
    Moment("book-to-price, median", _quantile("book_to_price", 0.5)),
    Moment("book-to-price, 95 %", _quantile("book_to_price", 0.95)),
    Moment(
        "rank autocorrelation of book-to-price, 12 months", _yearly_lagged("book_to_price", 12), 0.05, absolute=True
    ),
    Moment("earnings yield, 5 %", _quantile("earnings_yield", 0.05), 0.05, absolute=True),
    Moment("earnings yield, median", _quantile("earnings_yield", 0.5)),
    Moment("earnings yield, 95 %", _quantile("earnings_yield", 0.95)),
    Moment("return on equity, 5 %", _quantile("return_on_equity", 0.05), 0.05, absolute=True),
    Moment("return on equity, median", _quantile("return_on_equity", 0.5)),
    Moment("return on equity, 95 %", _quantile("return_on_equity", 0.95)),
    Moment("rank autocorrelation of return on equity, 12 months", _yearly_lagged("return_on_equity", 12), 0.1, True),
    Moment("operating profit / assets, median", _quantile("return_on_assets", 0.5)),
    Moment("liabilities / assets, 5 %", _quantile("leverage", 0.05)),
    Moment("liabilities / assets, median", _quantile("leverage", 0.5)),
    Moment("liabilities / assets, 95 %", _quantile("leverage", 0.95)),
    Moment("sales / assets, median", _quantile("sales_to_assets", 0.5)),
    Moment("missing operating profit", _no_operating_profit, 0.02, absolute=True),
)


def moments(data: Sample) -> dict[str, float]:
    """Return all moments by name."""
    return {moment.name: moment.of(data) for moment in MOMENTS}


def simulated_sample(folder: Path) -> Sample:
    """Read a landed simulated market."""
    index = pl.read_csv(folder / "index.csv").select("month", r="index_return")
    accounts = pl.read_parquet(folder / "fundamentals.parquet")
    return sample(pl.read_parquet(folder / "prices" / "*.parquet"), _with_net_assets(accounts), index)


def real_sample(folder: Path) -> Sample:
    """Read the real drop; the market's return is TOPIX', before 2004-05 the Nikkei's."""
    accounts = pl.read_parquet(folder / "fundamentals.parquet").rename(
        {"available_from": "announced", "fiscal_year_end": "period_end"}
    )
    index = pl.read_csv(folder / "index.csv").select("month", r=pl.coalesce("topix_ret", "n225_ret"))
    prices = pl.read_parquet(folder / "prices" / "*.parquet")
    return sample(prices, _with_net_assets(accounts), index)


def _with_net_assets(accounts: pl.DataFrame) -> pl.DataFrame:
    return accounts.with_columns(net_assets=pl.coalesce("net_assets", "shareholders_equity"))


def comparison(simulated: dict[str, float], real: dict[str, float] | None) -> Table:
    """Return the table of both markets' moments."""
    table = Table(title="Moments of the simulated market")
    for heading in ("moment", "simulated", "real", "tolerance", "close"):
        table.add_column(heading, justify="left" if heading == "moment" else "right")
    for moment in MOMENTS:
        value, tolerance = simulated[moment.name], f"± {moment.tolerance:{'g' if moment.absolute else '.0%'}}"
        if real is None:
            table.add_row(moment.name, f"{value:.3f}", "", "", "")
        elif not moment.comparable:
            table.add_row(moment.name, f"{value:.3f}", f"{real[moment.name]:.3f}", "", "not comparable")
        else:
            verdict = "yes" if moment.is_close(value, real[moment.name]) else "no"
            table.add_row(moment.name, f"{value:.3f}", f"{real[moment.name]:.3f}", tolerance, verdict)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, nargs="?", default=REAL, help="folder of the real drop")
    parser.add_argument("--stocks", type=int, default=1948)
    parser.add_argument("--seed", type=int, default=SimulationConfig().seed)
    arguments = parser.parse_args()
    console = Console(width=110)
    last_session(Month.parse("2016-03"))  # loads the exchange's calendar, which is not what is measured
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        land(Path(folder) / "market", SimulationConfig(stocks=arguments.stocks, seed=arguments.seed))
        seconds = time.perf_counter() - started
        simulated = moments(simulated_sample(Path(folder) / "market"))
    real = moments(real_sample(arguments.real)) if arguments.real.is_dir() else None
    console.print(comparison(simulated, real))
    console.print(
        f"Simulated and written in {seconds:.1f} s: {arguments.stocks} stocks on average, 1990-12 to 2016-03."
    )
    if real is None:
        console.print(f"The real drop is not at {arguments.real}: give its folder as argument.")
    else:
        close = sum(each.comparable and each.is_close(simulated[each.name], real[each.name]) for each in MOMENTS)
        console.print(f"{close} of {sum(each.comparable for each in MOMENTS)} moments are close.")


if __name__ == "__main__":
    main()
