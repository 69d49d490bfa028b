"""A simulated market, landed as a vendor lands files, with the truth about its returns beside it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deepfactor.config import SimulationConfig
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, last_session, month_range
from deepfactor.sources.economy import PREMIA, Accounts, Economy, evolve
from deepfactor.sources.firms import Flags, Matrix

TRUTH = "truth.json"
_VERSION = 1  # of the files' content for the same parameters
_ANNOUNCEMENT_DAYS = 45
_FEWEST_STOCKS = 10
# Codes have four digits, and over the history some 1.8 firms are listed for one that is listed on average.
_MOST_STOCKS = 4_000


@dataclass(frozen=True)
class Market:
    """What the vendor delivers, with the vendor's column names.

    Attributes
    ----------
    prices
        A row for each month and listed stock that traded: ``date`` (last session), ``code``, ``close`` (quoted, in
        currency), ``adj_close`` (adjusted for splits and dividends), ``volume`` (shares), ``traded_value`` (currency),
        ``shares_outstanding``, ``market_cap`` (currency).
    fundamentals
        A row for each stock and fiscal year: ``code``, ``fiscal_year_end``, ``announced``, amounts in currency.
    index
        A row for each month: ``month`` (YYYY-MM), ``index_return`` and ``risk_free_rate`` as fractions.
    premia
        Planted return a month per standard deviation of each score.
    information_coefficient
        Mean correlation of the planted signal with the next month's return.
    """

    prices: pl.DataFrame
    fundamentals: pl.DataFrame
    index: pl.DataFrame
    premia: dict[str, float]
    information_coefficient: float


def simulate(config: SimulationConfig) -> Market:
    """Simulate a market; the same parameters give the same one.

    Raises
    ------
    ConfigurationError
        If the months or the number of stocks make no sense.
    """
    months = _months(config)
    # One stream for the economy, one for what is only dressing, so that dressing never changes the returns.
    economic, dressing = (
        np.random.Generator(np.random.PCG64(seed)) for seed in np.random.SeedSequence(config.seed).spawn(2)
    )
    economy = evolve(config.stocks, len(months), months[0].ordinal % 12, economic)
    count = economy.firms.entry.size
    codes = pl.Series("code", np.sort(dressing.choice(np.arange(1300, 10_000), count, replace=False)).astype(str))
    return Market(
        _prices(economy, months, codes, dressing),
        _fundamentals(economy.accounts, months, codes),
        _index(economy, months),
        dict(PREMIA),
        _information_coefficient(economy),
    )


def land(folder: Path, config: SimulationConfig) -> None:
    """Write a simulated market into a folder, wholly or not at all; nothing if it is there already.

    Raises
    ------
    ConfigurationError
        If the folder holds anything else, or a market simulated with other parameters.
    """
    if _is_landed(folder, config):
        return
    market = simulate(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because only within one file system is a rename a single act.
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.landing-", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        _write(temporary, market, config)
        temporary.rename(folder)
    except OSError:
        # Another process may have landed the same market in the meantime.
        if not _is_landed(folder, config):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def _is_landed(folder: Path, config: SimulationConfig) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / TRUTH).read_text(encoding="utf-8"))["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{folder} is not a simulated market, so none is landed there: "
            "name another folder, or remove source.simulate to read what is there"
        ) from None
    if found != _parameters(config):
        raise ConfigurationError(
            f"{folder} holds a market simulated with {found}, not with {_parameters(config)}: "
            "name another folder, or remove this one"
        )
    return True


def _parameters(config: SimulationConfig) -> dict[str, Any]:
    return {"version": _VERSION, **asdict(config)}


def _write(folder: Path, market: Market, config: SimulationConfig) -> None:
    (folder / "prices").mkdir()
    for (year,), rows in market.prices.group_by(pl.col("date").dt.year(), maintain_order=True):
        rows.write_parquet(folder / "prices" / f"{year}.parquet")
    market.fundamentals.write_parquet(folder / "fundamentals.parquet")
    market.index.write_csv(folder / "index.csv")
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.*")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    truth = {
        "parameters": _parameters(config),
        "premia": market.premia,
        "premia_unit": "return a month per standard deviation of the score",
        "information_coefficient": round(market.information_coefficient, 4),
        "digest": digest.hexdigest(),
    }
    (folder / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def _prices(economy: Economy, months: list[Month], codes: pl.Series, random: np.random.Generator) -> pl.DataFrame:
    listed, entry = economy.listed, economy.firms.entry
    traded = listed & ~_suspended(economy, random)
    row, firm = np.nonzero(traded)
    # Adjusted forward from the listing, so that what a month says never changes later.
    growth = np.where(np.isnan(economy.total_return), 0.0, np.log1p(economy.total_return)).cumsum(axis=0)
    first_close = np.exp(random.normal(np.log(800.0), 0.6, entry.size))
    adjusted = first_close * np.exp(growth)
    first_value = economy.log_value[entry, np.arange(entry.size)]
    shares = np.round(np.exp(first_value) / first_close, -2)
    unsplit = first_close * np.exp(economy.log_value - first_value)
    splits = _splits(unsplit, listed, random)
    close, outstanding = np.round(unsplit / splits, 2), np.round(shares * splits)
    turnover = 0.05 * np.exp(random.normal(0, 0.5, entry.size) + random.normal(0, 0.4, listed.shape))
    volume = np.maximum(np.round(outstanding * turnover, -2), 100.0)
    columns = {
        "close": close,
        "adj_close": np.round(adjusted, 4),
        "volume": volume,
        "traded_value": np.round(volume * close),
        "shares_outstanding": outstanding,
        "market_cap": np.round(close * outstanding),
    }
    sessions = pl.Series("date", [last_session(month) for month in months], pl.Date)
    return pl.DataFrame(
        [sessions.gather(row), codes.gather(firm), *(pl.Series(name, each[traded]) for name, each in columns.items())]
    )


def _suspended(economy: Economy, random: np.random.Generator) -> Flags:
    """Return the months without trading: now and then one to five, never the first or the last."""
    starts = random.random(economy.listed.shape) < 0.0003
    lengths = random.integers(1, 6, economy.listed.shape)
    suspended = np.zeros_like(starts)
    for ahead in range(5):
        begun = (starts & (lengths > ahead))[: starts.shape[0] - ahead]
        suspended[ahead:] |= begun
    firms, months = economy.firms, np.arange(starts.shape[0])[:, None]
    return suspended & (months > firms.entry) & (months < firms.exit)


def _splits(unsplit: Matrix, listed: Flags, random: np.random.Generator) -> Matrix:
    """Return shares now for one share at first: split when the price is high, joined when it is low."""
    factors = np.ones_like(unsplit)
    chance, size = random.random(unsplit.shape), random.choice([2.0, 3.0, 5.0, 10.0], unsplit.shape)
    for month in range(1, unsplit.shape[0]):
        price = unsplit[month] / factors[month - 1]
        split = np.where((price > 2_000) & (chance[month] < 0.04), size[month], 1.0)
        joined = np.where((price < 60) & (chance[month] < 0.04), 0.1, 1.0)
        factors[month] = factors[month - 1] * np.where(listed[month] & listed[month - 1], split * joined, 1.0)
    return factors


def _fundamentals(accounts: tuple[Accounts, ...], months: list[Month], codes: pl.Series) -> pl.DataFrame:
    years = []
    for year in accounts:
        end = (months[0] + year.month).last_day
        figures = {name: np.round(value, -6) for name, value in year.figures.items()}
        dates = [
            pl.lit(end).alias("fiscal_year_end"),
            pl.lit(end + timedelta(days=_ANNOUNCEMENT_DAYS)).alias("announced"),
        ]
        years.append(pl.DataFrame([codes.gather(year.firm)]).with_columns(dates).with_columns(**_series(figures)))
    # What is announced after the history has not happened in it.
    known = pl.concat(years).filter(pl.col("announced") <= months[-1].last_day)
    return known.sort("announced", "code")


def _series(figures: dict[str, Any]) -> dict[str, pl.Series]:
    return {name: pl.Series(value).fill_nan(None) for name, value in figures.items()}


def _index(economy: Economy, months: list[Month]) -> pl.DataFrame:
    returns = pl.Series("index_return", economy.market_return).round(6).fill_nan(None)
    rates = pl.Series("risk_free_rate", economy.risk_free_rate).round(6)
    return pl.DataFrame([pl.Series("month", [str(month) for month in months]), returns, rates])


def _information_coefficient(economy: Economy) -> float:
    """Return the mean correlation of the planted signal with the next month's return."""
    known = ~np.isnan(economy.total_return[1:])
    pairs = zip(economy.signal[:-1], economy.total_return[1:], known, strict=True)
    each = [np.corrcoef(signal[at], returned[at])[0, 1] for signal, returned, at in pairs]
    return float(np.mean(each))
