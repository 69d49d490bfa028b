from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.months import LAGS, Month
from deepfactor.reports.month import MonthReport
from deepfactor.schemas import (
    ATTRIBUTION,
    CORRELATIONS,
    FACTORS,
    LEDGER,
    PORTFOLIOS,
    REMAINDERS,
    SHARES,
    SIGNALS,
)

MODELS = ("dfm1", "dfm2", "linear")
# How much of the spread between stocks each factor makes up.
SCALES = np.array([0.006, 0.004, 0.008, 0.010, 0.005])
LEVEL = 0.006
GROUPS = ("highest prediction", "top quintile", "bottom quintile", "long-short")


def _expectation(table: str, name: str, severity: str, message: str, unexpected: int = 0) -> dict[str, Any]:
    return {
        "table": table,
        "suite": table,
        "name": name,
        "expectation": "expect_column_values_to_be_between",
        "severity": severity,
        "of": "rows",
        "scope": "month",
        "message": message,
        "evaluated": True,
        "success": not unexpected,
        "observed": None,
        "unexpected_count": unexpected,
        "maximum_share": None,
    }


VALIDATION = {
    "month": "2016-02",
    "first_month": "2005-02",
    "passed": True,
    "faults": [],
    "quarantined": [{"table": "prices", "reason": "close positive", "rows": 2}],
    "expectations": [
        _expectation("prices", "one row per stock and month", "error", "a stock stands twice in a month"),
        _expectation("prices", "close positive", "quarantine", "the price is zero or negative", 2),
        _expectation("prices", "no wild jump", "warning", "a price jumps more than any stock does", 1),
        _expectation("market", "one row per month", "error", "the month's market return is missing"),
    ],
}


def _gates() -> list[dict[str, Any]]:
    rows: list[tuple[str, str | None, float, float, str]] = [
        ("ledger", model, 3.1e-16, 1e-9, "the account of every stock adds up to its prediction") for model in MODELS
    ]
    rows += [("coverage", None, 0.97, 0.66, "enough of the universe is scored")]
    rows += [("spread", model, 0.0121, 1e-4, "the predictions tell stocks apart") for model in MODELS]
    names = ("gate", "model", "value", "threshold", "meaning")
    return [{**dict(zip(names, row, strict=True)), "passed": True} for row in rows]


def _accounts(month: Month, model: str, codes: list[str], base: Any, random: np.random.Generator) -> list[pl.DataFrame]:
    """One model's signals and ledger, which agree."""
    stocks = len(codes)
    # Rounded, so that no platform's mathematics library can change a digit.
    factors = (base + random.normal(size=base.shape) * 0.003).round(6)
    bias = (0.003 + random.normal(size=stocks) * 0.002).round(6)
    prediction = (factors.sum(axis=1) + bias + LEVEL).round(6)
    dispersion = np.abs(random.normal(size=stocks) * 0.002).round(6) * (model != "linear")
    rank = np.empty(stocks, dtype=np.int64)
    rank[(-prediction).argsort(kind="stable")] = np.arange(1, stocks + 1)
    key = {"month": month.first_day, "model": model, "security_id": codes}
    ranking = {"rank": rank, "quintile": 5 - (rank - 1) * 5 // stocks}
    parts = {factor: factors[:, place] for place, factor in enumerate(FACTORS)}
    parts |= {"bias": bias, "level": 0.0 * bias + LEVEL, "leak": 0.0 * bias}
    return [
        pl.DataFrame({**key, "prediction": prediction, "dispersion": dispersion, **ranking}, schema=SIGNALS.columns),
        pl.DataFrame({**key, **parts, "prediction": prediction}, schema=LEDGER.columns),
    ]


def _shares(month: Month, model: str, group: str, random: np.random.Generator) -> pl.DataFrame:
    share = random.dirichlet(SCALES * 4000).round(4)
    share[-1] = round(1 - share[:-1].sum(), 4)
    dispersion = (share * (0.08 if model != "linear" else 0)).round(4)
    key = {"month": month.first_day, "model": model, "group": group, "factor": FACTORS}
    disputed = (share < 0.15) & (model != "linear")
    return pl.DataFrame({**key, "share": share, "dispersion": dispersion, "disputed": disputed}, schema=SHARES.columns)


def _correlations(month: Month, model: str, shares: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Table 5; of one factor nothing can be said."""
    top = shares.filter(model=model, group="top quintile").sort(pl.col("factor").cast(pl.Enum(FACTORS)))
    spearman = random.uniform(-0.3, 0.3, len(FACTORS)).round(4)
    columns = {"spearman": [*spearman[:-1], None], "kendall": [*(spearman[:-1] * 0.7).round(4), None]}
    key = {"month": month.first_day, "model": model, "factor": FACTORS}
    return pl.DataFrame({**key, **columns, "share": top["share"]}, schema=CORRELATIONS.columns)


def _portfolios(ledger: pl.DataFrame, signals: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """One model's accounts of long-short and of the fifths at both ends; descriptors share what their factor adds."""
    if ledger.height < 5:
        return PORTFOLIOS.empty()
    accounts = (*FACTORS, *REMAINDERS, "prediction")
    joined = ledger.join(signals.select("security_id", "quintile"), on="security_id")
    top, bottom = (
        joined.filter(quintile=quintile).select(pl.col(*accounts).mean()).row(0, named=True) for quintile in (5, 1)
    )
    spread = {name: top[name] - bottom[name] for name in accounts}
    rows = []
    for portfolio, account in (("top quintile", top), ("bottom quintile", bottom), ("long-short", spread)):
        rows += [(portfolio, "factor", name, account[name]) for name in FACTORS]
        rows += [(portfolio, "remainder", name, account[name]) for name in (*REMAINDERS, "prediction")]
        for factor in FACTORS:
            names = [name for name in NAMES if FACTOR_OF[name] == factor]
            weights = random.uniform(-1, 3, len(names)).round(3)
            parts = account[factor] * weights / weights.sum()
            rows += [(portfolio, "descriptor", name, part) for name, part in zip(names, parts, strict=True)]
    names = ("portfolio", "account", "name", "contribution")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("contribution").round(6), dispersion=pl.col("contribution").abs().round(6) * 0.1
    )
    return frame.with_columns(month=pl.lit(ledger["month"][0]), model=pl.lit(ledger["model"][0])).select(
        *PORTFOLIOS.columns
    )


def _attribution(ledger: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """One model's attribution, which adds up to its factors: contributions bend with the rank of what is known."""
    codes, stocks, names = ledger["security_id"].to_list(), ledger.height, len(NAMES)
    ranks = np.stack([random.permutation(stocks) for _ in NAMES], axis=1) / max(1, stocks - 1) - 0.5
    known = random.random((stocks, names)) > np.linspace(0, 0.1, names)
    slopes = np.linspace(-0.01, 0.013, names)
    parts = np.stack([(slopes * ranks + 0.01 * ranks**2) * known / (1 + lag) for lag in LAGS], axis=1).round(6)
    for factor in FACTORS:
        first, *_ = places = [place for place, name in enumerate(NAMES) if FACTOR_OF[name] == factor]
        # What is not known contributes nothing, so something of each factor is known.
        known[:, first] = True
        missing = ledger[factor].to_numpy() - parts[:, :, places].sum(axis=(1, 2))
        parts[:, :, first] += (missing / len(LAGS)).round(6)[:, None]
        parts[:, 0, first] += ledger[factor].to_numpy() - parts[:, :, places].sum(axis=(1, 2))
    shape = (stocks, len(LAGS), names)
    inputs, is_known = (np.broadcast_to(each[:, None], shape) for each in (np.where(known, ranks, 0), known))
    frame = {
        "month": ledger["month"][0],
        "model": ledger["model"][0],
        "security_id": np.repeat(np.array(codes, dtype=object), len(LAGS) * names),
        "lag": np.tile(np.repeat(LAGS, names), stocks),
        "descriptor": np.tile(NAMES, stocks * len(LAGS)),
        "factor": np.tile([FACTOR_OF[name] for name in NAMES], stocks * len(LAGS)),
        "input": inputs.ravel().astype(np.float32),
        "known": is_known.ravel(),
        "relevance": parts.ravel().round(6),
        "dispersion": np.abs(parts).ravel().round(6) * 0.1,
    }
    return pl.DataFrame(frame, schema=ATTRIBUTION.columns)


def build_report(
    stocks: int = 300, models: Sequence[str] = MODELS, names: Sequence[str] | None = None, **changes: Any
) -> MonthReport:
    """Make a month in which everything adds up; ``names`` replace the first securities' codes."""
    random = np.random.default_rng(stocks)
    month = Month.parse("2016-02")
    codes = [*(names or ()), *(f"{1300 + 7 * index}" for index in range(len(names or ()), stocks))]
    base = random.normal(size=(stocks, len(FACTORS))) * SCALES
    signals, ledger = zip(*(_accounts(month, model, codes, base, random) for model in models), strict=True)
    shares = pl.concat(_shares(month, model, group, random) for model in models for group in GROUPS)
    signal_model = "dfm2" if "dfm2" in models else models[0]
    parts: dict[str, Any] = {
        "month": month,
        "run_id": "5f0c2a9e41d7b836",
        "signal_model": signal_model,
        "facts": {
            "code version": "0.1.0+9b74c9897bac",
            "stocks in the universe": stocks + 9,
            "stocks scored": stocks,
            "training rows": 16_842,
            "scoring: fewer than the minimum of descriptors": 9,
            "gates passed": True,
        },
        "signals": pl.concat(signals),
        "ledger": pl.concat(ledger),
        "shares": shares,
        "validation": VALIDATION,
        "gates": _gates(),
        "portfolios": pl.concat(_portfolios(*each, random) for each in zip(ledger, signals, strict=True)),
        "correlations": pl.concat(_correlations(month, model, shares, random) for model in models),
        "attribution": _attribution(ledger[list(models).index(signal_model)], random),
    }
    return MonthReport(**{**parts, **changes})


@pytest.fixture(scope="session")
def make_report() -> Any:
    return build_report
