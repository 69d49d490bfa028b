"""The tables of the system, each written once; frames are checked against them at every module border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from deepfactor.errors import SchemaError


@dataclass(frozen=True)
class Table:
    """What a frame holds.

    Attributes
    ----------
    name
        The table's name in keys, messages and documents.
    key
        Columns that identify a row; never null.
    columns
        Type of each column, in order; the key's columns first.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, type[pl.DataType]]

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return pl.DataFrame(schema=dict(self.columns))

    def check(self, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        """Return the frame with exactly this table's columns, in order, sorted by its key.

        Parameters
        ----------
        frame
            A frame that should be such a table.
        where
            What the frame is and where it came from, for the message.

        Raises
        ------
        SchemaError
            If a column is missing, unknown or of another type, or a key is null or stands twice.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        unknown = [name for name in frame.columns if name not in self.columns]
        if missing or unknown:
            raise SchemaError(
                f"{where}: the table {self.name} lacks {missing or 'nothing'} and has the unknown columns "
                f"{unknown or 'none'}; it must have {list(self.columns)}"
            )
        wrong = {
            name: f"{frame.schema[name]} instead of {kind}"
            for name, kind in self.columns.items()
            if frame.schema[name] != kind
        }
        if wrong:
            raise SchemaError(f"{where}: the table {self.name} has columns of another type: {wrong}")
        ordered = frame.select(*self.columns).sort(*self.key)
        self._check_key(ordered, where)
        return ordered

    def _check_key(self, frame: pl.DataFrame, where: str) -> None:
        keys = frame.select(*self.key)
        empty = keys.filter(pl.any_horizontal(pl.all().is_null()))
        if empty.height:
            raise SchemaError(f"{where}: {empty.height} rows of {self.name} lack a key, first {empty.row(0)}")
        # Sorted, equal keys stand next to each other.
        repeated = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in self.key)
        if keys.select(repeated.any()).item():
            twice = keys.filter(keys.is_duplicated())
            raise SchemaError(
                f"{where}: {twice.height} rows of {self.name} share their key with another, first "
                f"{dict(zip(self.key, twice.row(0), strict=True))}; remove the repeated rows"
            )


_F = pl.Float64
_ACCOUNTS = (
    "net_income",
    "net_assets",
    "operating_profit",
    "total_assets",
    "total_liabilities",
    "operating_cash_flow",
    "sales",
)

# A month is written as its first calendar day, in every table.
PRICES = Table(
    "prices",
    ("month", "security_id"),
    {
        "month": pl.Date,
        "security_id": pl.String,
        "close": _F,  # quoted price at month end, in currency
        "total_return_price": _F,  # adjusted for splits and dividends; or:
        "total_return": _F,  # simple total return from the month before, as a fraction; counts if that month has a row
        "volume": _F,  # shares traded in the month
        "traded_value": _F,  # currency traded in the month
        "shares_outstanding": _F,  # shares; or:
        "market_value": _F,  # currency
    },
)
FUNDAMENTALS = Table(
    "fundamentals",
    ("security_id", "period_end", "available_from"),
    {
        "security_id": pl.String,
        "period_end": pl.Date,
        "available_from": pl.Date,  # first day on which the figures were known
        **dict.fromkeys(_ACCOUNTS, _F),  # currency; flows are trailing twelve months
    },
)
MARKET = Table(
    "market",
    ("month",),
    {"month": pl.Date, "market_return": _F, "risk_free_rate": _F},  # simple monthly fractions
)
CONSTITUENTS = Table("constituents", ("month", "security_id"), {"month": pl.Date, "security_id": pl.String})

RAW = {table.name: table for table in (PRICES, FUNDAMENTALS, MARKET, CONSTITUENTS)}
REQUIRED = ("prices", "fundamentals", "market")

PANEL = Table(
    "panel",
    ("month", "security_id"),
    {
        "month": pl.Date,
        "security_id": pl.String,
        "listed": pl.Boolean,  # false: the stock has no price this month, the row only keeps time
        "total_return": _F,  # simple total return of the month, as a fraction
        "excess_return": _F,  # less the risk-free rate
        "market_excess_return": _F,
        "traded_value": _F,  # currency
        "market_value": _F,  # currency
        "in_universe": pl.Boolean,
        **dict.fromkeys(_ACCOUNTS, _F),  # newest figures known at the month's last session
    },
)

FACTORS = ("Risk", "Quality", "Momentum", "Value", "Size")

SIGNALS = Table(
    "signals",
    ("model", "security_id"),
    {
        "month": pl.Date,
        "model": pl.String,
        "security_id": pl.String,
        "prediction": _F,  # total return of the month after, as a fraction
        "dispersion": _F,  # standard deviation of the ensemble members' predictions; 0 for a single model
        "rank": pl.Int64,  # 1: the highest prediction of the model
        "quintile": pl.Int64,  # 5: the highest fifth, 1: the lowest
    },
)
# What of a prediction is no input's: the biases, the calibration's level, and what a rule lost.
REMAINDERS = ("bias", "level", "leak")

ATTRIBUTION = Table(
    "attribution",
    ("model", "security_id", "lag", "descriptor"),
    {
        "month": pl.Date,
        "model": pl.String,
        "security_id": pl.String,
        "lag": pl.Int64,  # calendar months before the as-of month
        "descriptor": pl.String,
        "factor": pl.String,
        "input": pl.Float32,  # the descriptor's rank within its month's universe, -½ to +½; 0 is the median
        "known": pl.Boolean,  # false: there is no such descriptor, the input is 0 in its place
        "relevance": _F,  # signed, in units of return
        "dispersion": _F,  # standard deviation across the ensemble's members
    },
)
LEDGER = Table(
    "ledger",
    ("model", "security_id"),
    {
        "month": pl.Date,
        "model": pl.String,
        "security_id": pl.String,
        **dict.fromkeys(FACTORS, _F),  # signed sums of relevance, in units of return
        "bias": _F,  # what the model's constants account for
        "level": _F,  # the return at a score of zero, the same for all stocks
        "leak": _F,  # what the rule lost
        "prediction": _F,  # the sum of all of these
    },
)
PORTFOLIOS = Table(
    "portfolios",
    ("model", "portfolio", "account", "name"),
    {
        "month": pl.Date,
        "model": pl.String,
        "portfolio": pl.String,  # "top quintile", "quintile 4", …, "bottom quintile", "long-short"
        "account": pl.String,  # "factor", "descriptor" (over lags), "lag" (over descriptors), or "remainder"
        "name": pl.String,  # of the factor, descriptor or lag; "bias", "level" or "leak"; "prediction" is their sum
        "contribution": _F,  # signed, in units of return; each account's rows and the remainders add up
        "dispersion": _F,  # standard deviation across the ensemble's members
    },
)
SHARES = Table(
    "shares",
    ("model", "group", "factor"),
    {
        "month": pl.Date,
        "model": pl.String,
        "group": pl.String,  # "highest prediction", "top quintile", "bottom quintile" or "long-short"
        "factor": pl.String,
        "share": _F,  # of the sum of absolute relevances over the inputs; the five add up to 1
        "dispersion": _F,  # standard deviation of the members' shares
        "disputed": pl.Boolean,  # whether members disagree on the sign of the factor's contribution
    },
)
CORRELATIONS = Table(
    "correlations",
    ("model", "factor"),
    {
        "month": pl.Date,
        "model": pl.String,
        "factor": pl.String,
        "spearman": _F,  # mean over the factor's descriptors of the correlation with the prediction, top quintile
        "kendall": _F,
        "share": _F,  # of the sum of absolute relevances of the top quintile, as in the table shares
    },
)
