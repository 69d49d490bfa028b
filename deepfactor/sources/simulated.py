"""A simulated market as a vendor delivers it, and the truth about its returns.

The same parameters give the same market, byte for byte.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepfactor.config import SimulationConfig
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, last_session, month_range
from deepfactor.sources.accounts import EARLIEST_MONTH, Calendar, Reports
from deepfactor.sources.economy import Economy, evolve
from deepfactor.sources.firms import NEVER, Flags
from deepfactor.sources.landing import land_once
from deepfactor.sources.premia import PREMIA
from deepfactor.sources.quotes import quote_prices
from deepfactor.sources.truth import tell_truth

_VERSION = 4  # of the files' content for the same parameters
_FEWEST_STOCKS = 10
# Codes have four digits, and over the history some 1.8 firms are listed for one that is listed on average.
_MOST_STOCKS = 4_000
_EPOCH = date(1970, 1, 1).toordinal()
_NO_NET_ASSETS, _EQUITY = 0.012, 0.96  # firms that report shareholders' equity instead, which is a little less
_LEFT_OUT = {"cfo": 0.01, "sales": 0.003}  # shares of reports without the figure


@dataclass(frozen=True)
class Market:
    """What the vendor delivers, with the vendor's column names.

    Attributes
    ----------
    prices
        A row for each month and listed stock that traded: ``date`` (last session), ``code``, ``close`` (quoted, in
        currency), ``adj_close`` (adjusted for splits and dividends), ``volume`` (shares), ``traded_value`` (currency),
        ``shares_outstanding``, ``market_cap`` (currency), ``dividend`` (currency per share of this month) and
        ``adjustment_factor`` (of older prices: .5 after a split in two). A stock that leaves has a row in its last
        month, with its last return.
    constituents
        ``date`` and ``code`` of the stocks that are still listed, and have a price, at the month's last session.
    fundamentals
        A row for each announcement: ``code``, ``period_end``, ``announced``, ``restated`` (it corrects an earlier one
        of the same period), amounts in currency, flows over twelve months.
    index
        A row for each month: ``month`` (YYYY-MM), ``index_return`` and ``risk_free_rate`` as fractions.
    signal
        ``date``, ``code`` and ``expected_excess``, the expected return of the next month above the market's mean stock.
    truth
        What was planted, and how much of it can be found; see :func:`deepfactor.sources.truth.tell_truth`.
    """

    prices: pl.DataFrame
    constituents: pl.DataFrame
    fundamentals: pl.DataFrame
    index: pl.DataFrame
    signal: pl.DataFrame
    truth: dict[str, Any]


def simulate(config: SimulationConfig) -> Market:
    """Simulate a market.

    Raises
    ------
    ConfigurationError
        If the months or the number of stocks make no sense.
    """
    months = _months(config)
    # One stream for the economy, one for what is only dressing, so that dressing never changes the returns.
    economic, dressed = np.random.SeedSequence(config.seed).spawn(2)
    dressing = np.random.Generator(np.random.PCG64(dressed))
    economy = evolve(config.stocks, _calendar(config, months), PREMIA[config.premia], economic)
    count = economy.firms.entry.size
    codes = pl.Series("code", dressing.choice(np.arange(1300, 10_000), count, replace=False).astype(str))
    sessions = [last_session(month) for month in months]
    prices = quote_prices(economy, sessions, codes, dressing)
    staying = economy.listed & (economy.firms.exit != np.arange(len(months))[:, None])
    signal = _by_month(sessions, codes, staying, expected_excess=economy.excess)
    return Market(
        prices=prices,
        constituents=_by_month(sessions, codes, staying).join(
            prices.select("date", "code"), on=["date", "code"], how="semi", maintain_order="left"
        ),
        fundamentals=_fundamentals(economy, months, codes, dressing),
        index=_index(economy, months),
        signal=signal,
        truth=tell_truth(economy, config.premia),
    )


def land(folder: Path, config: SimulationConfig) -> None:
    """Write a simulated market into a folder, wholly or not at all; nothing if it is there already.

    Raises
    ------
    ConfigurationError
        If the folder holds anything else, a market simulated with other parameters, or one changed since it was landed.
    """
    land_once(folder, {"version": _VERSION, **asdict(config)}, lambda target: _write(target, simulate(config)))


def _months(config: SimulationConfig) -> list[Month]:
    months = list(month_range(Month.parse(config.first_month), Month.parse(config.last_month)))
    if len(months) < 2:
        raise ConfigurationError(
            f"source.simulate: last_month {config.last_month} must come after first_month {config.first_month}"
        )
    if not _FEWEST_STOCKS <= config.stocks <= _MOST_STOCKS:
        raise ConfigurationError(
            f"source.simulate.stocks: {config.stocks} must lie between {_FEWEST_STOCKS} and {_MOST_STOCKS}"
        )
    return months


def _calendar(config: SimulationConfig, months: list[Month]) -> Calendar:
    ends = [(months[0] + offset).last_day for offset in range(-EARLIEST_MONTH, len(months))]
    quarterly = len(months) if config.quarterly_from is None else Month.parse(config.quarterly_from) - months[0]
    return Calendar(
        first=months[0].ordinal % 12,
        ends=np.array([day.toordinal() - _EPOCH for day in ends]),
        sessions=np.array([last_session(month).toordinal() - _EPOCH for month in months]),
        quarterly_from=quarterly,
    )


def _write(folder: Path, market: Market) -> dict[str, Any]:
    (folder / "prices").mkdir()
    for (year,), rows in market.prices.group_by(pl.col("date").dt.year(), maintain_order=True):
        rows.write_parquet(folder / "prices" / f"{year}.parquet")
    market.constituents.write_parquet(folder / "constituents.parquet")
    market.fundamentals.write_parquet(folder / "fundamentals.parquet")
    market.index.write_csv(folder / "index.csv")
    market.signal.write_parquet(folder / "truth_signal.parquet")
    return market.truth


def _by_month(sessions: list[date], codes: pl.Series, where: Flags, **matrices: np.ndarray) -> pl.DataFrame:
    """Return ``date``, ``code`` and the values of matrices (months × firms) where something holds."""
    row, firm = np.nonzero(where)
    values = [pl.Series(name, matrix[where]) for name, matrix in matrices.items()]
    return pl.DataFrame([pl.Series("date", sessions, pl.Date).gather(row), codes.gather(firm), *values])


def _fundamentals(economy: Economy, months: list[Month], codes: pl.Series, random: np.random.Generator) -> pl.DataFrame:
    reports, firms = economy.reports, economy.firms
    ends = np.array([(months[0] + int(month)).last_day.toordinal() - _EPOCH for month in _span(reports)])
    figures = dict(reports.figures)
    other = (random.random(firms.entry.size) < _NO_NET_ASSETS)[reports.firm]
    figures["shareholders_equity"] = np.round(np.where(other, _EQUITY, 1.0) * figures["net_assets"], -6)
    figures["net_assets"] = np.where(other, np.nan, figures["net_assets"])
    for name, share in _LEFT_OUT.items():
        figures[name] = np.where(random.random(reports.firm.size) < share, np.nan, figures[name])
    frame = pl.DataFrame(
        [
            codes.gather(reports.firm),
            pl.Series("period_end", ends[reports.period - int(reports.period.min())].astype(np.int32)).cast(pl.Date),
            pl.Series("announced", reports.announced.astype(np.int32)).cast(pl.Date),
            pl.Series("restated", reports.restated),
            *(pl.Series(name, value).fill_nan(None) for name, value in figures.items()),
        ]
    )
    # What is announced after the history, or after the firm has left, is not delivered.
    last = np.where(firms.exit == NEVER, len(months) - 1, firms.exit)[reports.firm]
    final = np.array([month.last_day.toordinal() - _EPOCH for month in months])[last]
    return frame.filter(pl.Series(reports.announced <= final)).sort("announced", "code", "period_end")


def _span(reports: Reports) -> range:
    return range(int(reports.period.min()), int(reports.period.max()) + 1)


def _index(economy: Economy, months: list[Month]) -> pl.DataFrame:
    returns = pl.Series("index_return", economy.market_return).round(6).fill_nan(None)
    rates = pl.Series("risk_free_rate", economy.risk_free_rate)
    return pl.DataFrame([pl.Series("month", [str(month) for month in months]), returns, rates])
