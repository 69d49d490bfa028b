"""The report of one month: a single HTML page that needs no network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from deepfactor.errors import SchemaError
from deepfactor.months import Month
from deepfactor.reports import verdict
from deepfactor.reports.accounts import beeswarms, long_short_waterfalls, stock_waterfalls
from deepfactor.reports.figures import balances, histogram, share_panels
from deepfactor.reports.pages import render_page
from deepfactor.reports.stock_details import LARGEST, stock_details
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

# What lies beside the page in its run, and is linked from it.
FILES = {
    "signals.csv": "predictions, ranks and quintiles of all models, for spreadsheets",
    "signals.parquet": "the same for programs",
    "ledger.parquet": "factors, bias, level and leak of every prediction",
    "attribution.parquet": "the 80 inputs of every prediction: contribution, spread between members, rank",
    "portfolios.parquet": "accounts of the quintiles and of long-short",
    "shares.parquet": "shares of absolute relevance",
    "correlations.parquet": "rank correlations of factors with predictions",
    "gates.json": "every gate with its numbers",
}

_EXTREMES = 10
_BEESWARMS = 6
# The colour of a cell saturates at this quantile: a few extreme stocks must not bleach the others.
_SATURATION = 0.98


@dataclass(frozen=True)
class MonthReport:
    """Everything that is said about a month.

    Attributes
    ----------
    month
        The as-of month ``t``; the predictions are for ``t + 1``.
    run_id
        The run that made it.
    signal_model
        The model whose predictions are ranked.
    facts
        What the run was: code version, configuration digest, universe, …, in reading order; a name of the form
        ``step: reason`` counts what was left out.
    signals, ledger, shares
        ``schemas.SIGNALS`` of all models; ``schemas.LEDGER`` and ``schemas.SHARES`` of those that can be explained.
    validation, results
        The verdicts on the month's raw tables, and on its descriptors and signals.
    gates
        For each gate ``gate``, ``model`` (or none), ``value``, ``threshold``, ``passed``, ``meaning`` and ``hard``:
        whether the month stops if it fails, as it does where nothing is said.
    portfolios, correlations
        ``schemas.PORTFOLIOS`` and ``schemas.CORRELATIONS`` of the models that can be explained; what is empty is not
        shown.
    attribution
        ``schemas.ATTRIBUTION``, of which the signal model's rows are shown; without them no stock can be opened.
    """

    month: Month
    run_id: str
    signal_model: str
    facts: Mapping[str, str | int | float]
    signals: pl.DataFrame
    ledger: pl.DataFrame
    shares: pl.DataFrame
    validation: Mapping[str, Any]
    gates: list[dict[str, Any]]
    results: Mapping[str, Any] = field(default_factory=dict)
    portfolios: pl.DataFrame = field(default_factory=PORTFOLIOS.empty)
    correlations: pl.DataFrame = field(default_factory=CORRELATIONS.empty)
    attribution: pl.DataFrame = field(default_factory=ATTRIBUTION.empty)

    @property
    def models(self) -> tuple[str, ...]:
        """All models that predicted, the signal model first."""
        others = sorted(set(self.signals["model"].to_list()) - {self.signal_model})
        return (self.signal_model, *others)

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Models with signals only: their predictions have no account."""
        explained = set(self.ledger["model"].to_list())
        return tuple(model for model in self.models if model not in explained)

    @property
    def exclusions(self) -> dict[str, str | int | float]:
        """The facts that count what was left out, named ``step: reason``."""
        return {name: value for name, value in self.facts.items() if ": " in name}

    def stocks(self) -> pl.DataFrame:
        """Return the signal model's stocks with their accounts, the highest prediction first.

        Returns
        -------
        polars.DataFrame
            ``rank``, ``security_id``, ``prediction``, ``dispersion``, ``quintile``, the five factors, ``bias``,
            ``level``, ``leak``; one row per stock.

        Raises
        ------
        SchemaError
            If a table is not what its schema says, the signal model has no signals, or a stock has no account.
        """
        where = f"report of {self.month}"
        signals = SIGNALS.check(self.signals, where).filter(pl.col("model") == self.signal_model)
        if signals.is_empty():
            raise SchemaError(f"{where}: the signal model {self.signal_model!r} has no signals")
        ledger = LEDGER.check(self.ledger, where).drop("month", "prediction")
        stocks = signals.join(ledger, on=["model", "security_id"], how="left", maintain_order="left")
        unexplained = stocks.filter(pl.any_horizontal(pl.col(*FACTORS, *REMAINDERS).is_null()))
        if not unexplained.is_empty():
            raise SchemaError(
                f"{where}: {unexplained.height} stocks of {self.signal_model} have no account in the ledger, "
                f"such as {unexplained['security_id'][0]!r}"
            )
        shown = ("rank", "security_id", "prediction", "dispersion", "quintile", *FACTORS, *REMAINDERS)
        return stocks.select(shown).sort("rank", "security_id")


def render_month(report: MonthReport) -> bytes:
    """Return the report as one HTML page in UTF-8.

    The same report gives the same bytes. The page's content security policy forbids everything but its own style and
    script.

    Raises
    ------
    SchemaError
        If a table is not what its schema says, the signal model has no signals, or a stock has no account or lacks
        some of its inputs.
    """
    return render_page("month.html.j2", "month.css", "month.js", **_content(report))


def _content(report: MonthReport) -> dict[str, Any]:
    where = f"report of {report.month}"
    stocks = report.stocks()
    shares = SHARES.check(report.shares, where)
    rows = stocks.with_columns(_shades(stocks)).to_dicts()
    failed = verdict.failed_gates(report.gates)
    return {
        "report": report,
        "next_month": report.month + 1,
        "factors": FACTORS,
        "remainders": REMAINDERS,
        "rows": rows,
        "files": FILES,
        "level": rows[0]["level"],
        "extremes": _extremes(rows),
        **_explanations(report, stocks, shares),
        "models": _models(report),
        "panels": share_panels(shares, report.models),
        "histogram": histogram(stocks),
        **_correlations(report),
        "checks": verdict.checks(report.validation),
        "result_checks": verdict.checks(report.results),
        "quarantines": verdict.quarantines(report.validation),
        "shares": shares.to_dicts(),
        "failed_gates": failed,
        "gate_warnings": verdict.gate_warnings(report.gates),
        # A page without gates or without a verdict must not look like one that passed them.
        "blessed": bool(report.gates) and not failed and report.validation.get("passed") is True,
    }


def _explanations(report: MonthReport, stocks: pl.DataFrame, shares: pl.DataFrame) -> dict[str, Any]:
    """Return the pictures of the signal model's accounts, and what a stock is asked for."""
    where = f"report of {report.month}"
    shares, portfolios, attribution = (
        frame.filter(pl.col("model") == report.signal_model)
        for frame in (shares, PORTFOLIOS.check(report.portfolios, where), report.attribution)
    )
    attribution = ATTRIBUTION.check(attribution, where)
    return {
        "waterfalls": [*stock_waterfalls(stocks, shares), *long_short_waterfalls(portfolios, shares)],
        "beeswarms": beeswarms(attribution, _BEESWARMS),
        "largest": LARGEST,
        "stock_details": None if attribution.is_empty() else stock_details(stocks, attribution),
    }


def _correlations(report: MonthReport) -> dict[str, Any]:
    """Return Table 5: for each factor the row of each model."""
    rows = CORRELATIONS.check(report.correlations, f"report of {report.month}").to_dicts()
    correlated = [model for model in report.models if any(row["model"] == model for row in rows)]
    by_factor = {factor: {row["model"]: row for row in rows if row["factor"] == factor} for factor in FACTORS}
    return {"correlated": correlated, "correlations": by_factor if correlated else {}}


def _shades(stocks: pl.DataFrame) -> list[pl.Expr]:
    """Return for each account how strongly its cell is coloured, from -4 to 4, on one scale for all of them."""
    accounts = (*FACTORS, "bias")
    largest = pl.concat([stocks[each].abs() for each in accounts]).quantile(_SATURATION) or 1.0
    return [(pl.col(each) / largest * 4).clip(-4, 4).round().cast(pl.Int64).alias(f"{each} shade") for each in accounts]


def _extremes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stocks at both ends with their pictures, each end on a scale of its own."""
    # A market of fewer than twenty stocks is shown once, not twice.
    count = min(_EXTREMES, (len(rows) + 1) // 2)
    ends = (("Highest predictions", rows[:count]), ("Lowest predictions", rows[count:][-count:]))
    return [
        {
            "title": title,
            "rows": [
                {**row, "balance": balance, "drivers": drivers(row)}
                for row, balance in zip(chosen, balances(chosen), strict=True)
            ],
        }
        for title, chosen in ends
        if chosen
    ]


def drivers(row: Mapping[str, Any], count: int = 3) -> list[tuple[str, float]]:
    """Return the factors with the largest contributions to a stock's prediction, by absolute size, signed."""
    return sorted(((each, row[each]) for each in FACTORS), key=lambda pair: -abs(pair[1]))[:count]


def _models(report: MonthReport) -> list[dict[str, Any]]:
    """Return what each model's predictions look like, beside those of the signal model."""
    wide = report.signals.pivot("model", index="security_id", values="prediction").sort("security_id")
    described = []
    for model in report.models:
        values = wide[model].drop_nulls()
        described.append(
            {
                "model": model,
                "stocks": len(values),
                "lowest": values.min(),
                "median": values.median(),
                "highest": values.max(),
                "spread": values.std(),
                "agreement": None if model == report.signal_model else _agreement(wide, report.signal_model, model),
            }
        )
    return described


def _agreement(wide: pl.DataFrame, model: str, other: str) -> float | None:
    """Return the rank correlation between two models; none if one of them is a constant."""
    correlation = wide.select(model, other).drop_nulls().select(pl.corr(model, other, method="spearman")).item()
    return correlation if math.isfinite(correlation) else None
