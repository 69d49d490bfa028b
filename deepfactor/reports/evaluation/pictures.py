"""Which pictures the page shows, made of the evaluation's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import in_order
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluation.portfolios import LONG_SHORT, QUINTILE_NAMES
from deepfactor.evaluation.trading import AFTER_COSTS
from deepfactor.months import Month
from deepfactor.reports.evaluation.estimates import Estimate, EstimateChart, estimate_chart, reach_of
from deepfactor.reports.evaluation.lines import LineChart, line_chart
from deepfactor.reports.evaluation.strips import AREA, BARS, CURVE, DASHES, Series, Strips, strips
from deepfactor.reports.evaluation.views import FOLLOWED
from deepfactor.reports.figures import SharePanel, share_panels
from deepfactor.reports.numbers import decimal, figure, percent
from deepfactor.reports.shares_over_time import SharesOverTime, shares_over_time

ROLLING = 12
"""Months of the mean that is drawn over monthly rank ICs."""

# Where no member's disagreement is known, a factor is disputed if it is so in more than half of the months.
_HALF = 0.5


def rolling_mean(values: Mapping[int, float], months: int = ROLLING) -> dict[int, float]:
    """Return the mean of so many months up to each; calendar months, all of which must have a value."""
    found = {}
    for ordinal in sorted(values):
        window = [values[each] for each in range(ordinal - months + 1, ordinal + 1) if each in values]
        if len(window) == months:
            found[ordinal] = sum(window) / months
    return found


def rank_ics(evaluation: Evaluation) -> tuple[Strips, ...]:
    """Return each model's rank IC by month, with its rolling mean."""
    told = {row["model"]: row for row in evaluation.skill.iter_rows(named=True)}
    series = []
    for model, table in _by_model(evaluation.performance):
        values = _monthly(table, "rank_ic")
        row = told[model]
        error = decimal(row["rank_ic_se"], 3, signed=False)
        summary = f"mean {decimal(row['rank_ic'], 3)} ± {error}, t {decimal(row['rank_ic_t'], 1)}"
        series.append(Series(model, summary, ((BARS, values), (CURVE, rolling_mean(values)))))
    return strips(series, decimal, 1.0)


def drawdowns(evaluation: Evaluation) -> tuple[Strips, ...]:
    """Return how far each long-short portfolio was below its high, before and after costs."""
    deepest = {(row["model"], row["portfolio"]): row["depth"] for row in evaluation.drawdowns.iter_rows(named=True)}
    series = []
    for model, table in _by_model(evaluation.cumulated):
        before, after = (
            _monthly(table.filter(portfolio=name), "drawdown", "close") for name in (LONG_SHORT, AFTER_COSTS)
        )
        depths = [percent(deepest.get((model, name)), 1) for name in (LONG_SHORT, AFTER_COSTS)]
        series.append(
            Series(model, f"deepest {depths[0]} %, after costs {depths[1]} %", ((AREA, before), (DASHES, after)))
        )
    return strips(series)


def turnovers(evaluation: Evaluation) -> tuple[Strips, ...]:
    """Return how much of each leg is replaced, by month."""
    told = {row["model"]: row for row in evaluation.trading_summary.iter_rows(named=True)}
    series = []
    for model, table in _by_model(evaluation.trading):
        row = told[model]
        means = [percent(row[f"turnover_{leg}"], 0, signed=False) for leg in ("top", "bottom")]
        marks = ((CURVE, _monthly(table, "turnover_top")), (DASHES, _monthly(table, "turnover_bottom")))
        series.append(Series(model, f"mean of the top {means[0]} %, of the bottom {means[1]} %", marks))
    return strips(series, lambda value, digits: percent(value, digits, signed=False))


def counts_by_month(evaluation: Evaluation) -> tuple[Strips, ...]:
    """Return how many stocks were scored, set aside, left out, and without a return."""
    universe, scored = (_monthly(evaluation.coverage, name) for name in ("universe", "scored"))
    coverage = list(_monthly(evaluation.coverage, "coverage").values())
    least, most = (percent(end(coverage, default=None), 1, signed=False) for end in (min, max))
    series = [
        Series("Stocks scored, of the universe", f"{least} to {most} %", ((AREA, scored), (DASHES, universe))),
        _counted("Rows quarantined", _monthly(evaluation.coverage, "rows_quarantined")),
    ]
    for (reason,), table in evaluation.exclusions.partition_by("reason", as_dict=True).items():
        series.append(_counted(reason, _monthly(table, "number")))
    missing = evaluation.missing_returns.filter("known").group_by("month").agg(pl.col("without_return").max())
    series.append(_counted("Without a return in the month after", _monthly(missing, "without_return")))
    return strips(series, lambda value, _digits: figure(round(value)), 1.0, together=False, reached=5.0)


def long_short_wealth(evaluation: Evaluation) -> dict[str, LineChart | None]:
    """Return what one unit in each long-short portfolio has become, before and after costs, on one scale."""
    shown = evaluation.cumulated.filter(pl.col("portfolio").is_in([LONG_SHORT, AFTER_COSTS]))
    reach = _reach(shown["wealth"])
    charts = {}
    for portfolio in (LONG_SHORT, AFTER_COSTS):
        tables = _by_model(shown.filter(portfolio=portfolio))
        places = {model: place for place, (model, _) in enumerate(_by_model(shown))}
        lines = [(model, f"m{places[model] % 7}", _monthly(table, "wealth", "close")) for model, table in tables]
        charts[portfolio] = line_chart(lines, reach)
    return charts


def quintile_wealth(evaluation: Evaluation) -> dict[str, LineChart]:
    """Return what one unit in each of a model's quintiles has become, all models on one scale."""
    shown = evaluation.cumulated.filter(pl.col("portfolio").is_in(QUINTILE_NAMES))
    reach = _reach(shown["wealth"])
    charts = {}
    for model, table in _by_model(shown):
        lines = [
            (_short(name), f"q{place}", _monthly(table.filter(portfolio=name), "wealth", "close"))
            for place, name in enumerate(QUINTILE_NAMES)
        ]
        chart = line_chart(lines, reach)
        if chart is not None:
            charts[model] = chart
    return charts


def quintile_returns(evaluation: Evaluation) -> dict[str, EstimateChart]:
    """Return what each quintile earned a year, the lowest first, all models on one scale."""
    estimates = {}
    for model, table in _by_model(evaluation.portfolio_summary):
        rows = {row["portfolio"]: row for row in table.iter_rows(named=True)}
        there = [(_short(name), rows[name]) for name in reversed(QUINTILE_NAMES) if name in rows]
        estimates[model] = [Estimate(name, row["annual_return"], row["annual_return_se"]) for name, row in there]
    return _charts(estimates)


def calibrations(evaluation: Evaluation) -> dict[str, EstimateChart]:
    """Return what each tenth of the predictions earned, beside what was predicted, all models on one scale."""
    return _charts(
        {
            model: [
                Estimate(str(row["decile"]), row["realised"], row["realised_se"], row["prediction"])
                for row in table.sort("decile").iter_rows(named=True)
            ]
            for model, table in _by_model(evaluation.deciles)
        }
    )


def figure_3(evaluation: Evaluation) -> tuple[SharePanel, ...]:
    """Return Figure 3: whiskers are standard deviations between months."""
    shares = evaluation.figure_3.select(
        "model", "group", "factor", "share", pl.col("share_sd").alias("dispersion"), pl.col("disputed") > _HALF
    )
    return share_panels(shares, in_order(shares["model"])) if shares.height else ()


def followed_shares(evaluation: Evaluation) -> dict[str, SharesOverTime]:
    """Return the factors' shares in each model's top quintile, by month."""
    shares = evaluation.monthly_shares
    models = in_order(shares.filter(group=FOLLOWED)["model"])
    return {model: shares_over_time(shares, model, FOLLOWED) for model in models}


def _charts(estimates: Mapping[str, Sequence[Estimate]]) -> dict[str, EstimateChart]:
    reach = reach_of([each for of_model in estimates.values() for each in of_model])
    drawn = {model: estimate_chart(of_model, reach) for model, of_model in estimates.items()}
    return {model: chart for model, chart in drawn.items() if chart is not None}


def _counted(name: str, values: Mapping[int, float]) -> Series:
    least, most = (figure(round(end(values.values(), default=0))) for end in (min, max))
    return Series(name, f"{least} to {most} a month", ((BARS, values),))


def _by_model(table: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    parts = {str(model): part for (model,), part in table.partition_by("model", as_dict=True).items()}
    return [(model, parts[model]) for model in in_order(parts)]


def _monthly(table: pl.DataFrame, name: str, month: str = "month") -> dict[int, float]:
    """Return a column by month's ordinal, without months that have no value."""
    rows: list[tuple[date, Any]] = table.select(month, name).drop_nulls().rows()
    return {Month.containing(each).ordinal: float(value) for each, value in rows}


def _reach(wealth: pl.Series) -> tuple[float, float]:
    values = [1.0, *wealth.drop_nulls().to_list()]
    return min(values), max(values)


def _short(portfolio: str) -> str:
    """Return a quintile's name as short as it may be in a picture."""
    return portfolio.replace(" quintile", "").replace("quintile ", "")
