"""Whether what a run computed can be published: descriptors and signals, judged like the raw tables they come from.

Nothing is set aside here. A wrong descriptor or signal is no wrong row of a file but a wrong computation, so either the
month is published with all of it, or it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from deepfactor.config import Config
from deepfactor.descriptors import DESCRIPTORS, NAMES
from deepfactor.models.names import EXPLAINED_MODELS
from deepfactor.months import Month, Window, month_range
from deepfactor.schemas import SIGNALS
from deepfactor.validation.distributions import distribution_facts
from deepfactor.validation.verdict import Facts, Tables, Validation, conclude

_SCHEMAS = {"descriptors": DESCRIPTORS, "signals": SIGNALS}
_MODEL_FACTS = {
    "model": pl.String,
    "expected": pl.Boolean,
    "stocks": pl.Int64,
    "compared": pl.Boolean,
    "absent_share": pl.Float64,
    "rank_faults": pl.Int64,
    "quintile_gap": pl.Int64,
    "quintile_faults": pl.Int64,
    "mean": pl.Float64,
    "spread": pl.Float64,
    "distinct_share": pl.Float64,
    "agreement": pl.Float64,
}
# Fewer stocks than this in common make a rank correlation a matter of chance.
_FEWEST_COMMON = 10


def validate_results(
    descriptors: pl.DataFrame, signals: pl.DataFrame, ledger: pl.DataFrame, month: Month, config: Config
) -> Validation:
    """Judge a month's descriptors and signals by their suites.

    Only the run itself is looked at, never what is published of other months: the same run gives the same verdict.

    Parameters
    ----------
    descriptors
        ``descriptors.DESCRIPTORS`` of the window.
    signals, ledger
        ``schemas.SIGNALS`` and ``schemas.LEDGER`` of all models.
    month
        The as-of month.
    config
        For the suites, the models that must be there, and the exchange calendar.

    Raises
    ------
    ConfigurationError
        If a suite is missing, empty or cannot be understood.
    ValidationFailed
        If judging itself fails.
    """
    facts: Mapping[str, Facts] = {
        "rows": lambda tables, window, _: row_facts(tables, window, ledger),
        "distributions": lambda tables, window, _: descriptor_distributions(tables, window),
        "models": lambda tables, window, _: model_facts(tables, window, config.models, config.signal_model),
    }
    return conclude({"descriptors": descriptors, "signals": signals}, _SCHEMAS, facts, Window(month), config)


def row_facts(tables: Tables, window: Window, ledger: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the rows of descriptors (of the universe) and signals with ``row`` and facts.

    - Both: ``scope_month``, the row's month, and ``months_after``, by which it lies after the as-of month.
    - Signals: ``in_universe``, whether the stock is in the month's universe; ``ledger_gap``, how far the prediction
      lies from the ledger's of the same stock and model, null where the ledger has none; ``accounted_for``, whether
      it has one, or the model is none that can be explained.
    """
    members = tables["descriptors"].filter("in_universe")
    known = members.select("month", "security_id", in_universe=pl.lit(value=True)).unique()
    booked = ledger.select("model", "security_id", booked="prediction").unique(["model", "security_id"])
    signals = (
        tables["signals"]
        .join(known, on=["month", "security_id"], how="left", maintain_order="left")
        .join(booked, on=["model", "security_id"], how="left", maintain_order="left")
        .with_columns(
            in_universe=pl.col("in_universe").fill_null(value=False),
            ledger_gap=(pl.col("prediction") - pl.col("booked")).abs(),
        )
        .with_columns(accounted_for=pl.col("ledger_gap").is_not_null() | ~pl.col("model").is_in(EXPLAINED_MODELS))
    )
    return {
        name: frame.with_columns(scope_month=pl.col("month"), months_after=_months_after(window)).with_row_index("row")
        for name, frame in (("descriptors", members), ("signals", signals.drop("booked")))
    }


def descriptor_distributions(tables: Tables, window: Window) -> dict[str, pl.DataFrame]:
    """Return :func:`distribution_facts` of the descriptors of the universe, beside those of the year before."""
    members = tables["descriptors"].filter("in_universe")
    year = list(month_range(window.as_of + -12, window.as_of + -1))
    return {"descriptors": distribution_facts(members, window.as_of, year, NAMES)}


def model_facts(tables: Tables, window: Window, models: tuple[str, ...], signal_model: str) -> dict[str, pl.DataFrame]:
    """Return a row for each model that must be there or is.

    ``model``; ``expected``, whether the configuration names it; ``stocks``; ``absent_share``, of the stocks that any
    model scored; ``rank_faults``, rows whose rank is not the place of their prediction among the model's, 1 for the
    highest; ``quintile_gap``, between the sizes of its largest and smallest fifth, and ``quintile_faults``, rows whose
    fifth is not that of their rank; ``mean`` and ``spread`` (standard deviation) of the predictions, as fractions;
    ``distinct_share``, how many of them differ; ``agreement``, rank correlation with the signal model, null for itself,
    and ``compared``, whether there is another model at all.
    """
    signals = tables["signals"].filter(pl.col("month") == window.as_of.first_day)
    found = signals["model"].unique().sort().to_list()
    scored = signals["security_id"].n_unique()
    rows = []
    for model in (*models, *(each for each in found if each not in models)):
        own = signals.filter(pl.col("model") == model)
        agreement = None if model == signal_model else _agreement(signals, signal_model, model)
        facts = {"model": model, "expected": model in models, "stocks": own.height, "compared": len(found) > 1}
        rows.append(facts | _model(own, scored) | {"agreement": agreement})
    return {"signals": pl.DataFrame(rows, schema=_MODEL_FACTS)}


def _months_after(window: Window) -> pl.Expr:
    first, month = window.as_of.first_day, pl.col("month")
    return (month.dt.year().cast(pl.Int32) - first.year) * 12 + month.dt.month().cast(pl.Int32) - first.month


def _model(own: pl.DataFrame, scored: int) -> dict[str, Any]:
    if own.is_empty():
        return {"absent_share": 1.0}
    count = own.height
    ordered = own.sort("rank", "security_id")
    place = ordered["prediction"].rank("min", descending=True)
    # Equal predictions share a place; which of them comes first is for the ranks to say.
    last = ordered["prediction"].rank("max", descending=True)
    faults = (ordered["rank"] != pl.int_range(1, count + 1, eager=True)) | ~ordered["rank"].is_between(place, last)
    sizes = own.group_by("quintile").len()["len"]
    fifths = ordered["quintile"].diff().drop_nulls()
    return {
        "absent_share": 1.0 - own["security_id"].n_unique() / scored,
        "rank_faults": int(faults.fill_null(value=True).sum()),
        "quintile_gap": int(sizes.max() - sizes.min()) if len(sizes) == 5 else count,  # type: ignore[operator, arg-type]  # integers
        "quintile_faults": int((fifths > 0).sum()) + int((~own["quintile"].is_between(1, 5)).sum()),
        "mean": own["prediction"].mean(),
        "spread": own["prediction"].std(),
        "distinct_share": own["prediction"].n_unique() / count,
    }


def _agreement(signals: pl.DataFrame, model: str, other: str) -> float | None:
    """Return the rank correlation of two models over their common stocks; null for a constant, or too few."""
    sides = [
        signals.filter(pl.col("model") == each).unique("security_id").select("security_id", "prediction")
        for each in (model, other)
    ]
    both = sides[0].join(sides[1], on="security_id", suffix="_other")
    if both.height < _FEWEST_COMMON:
        return None
    correlation = both.select(pl.corr("prediction", "prediction_other", method="spearman")).item()
    return correlation if correlation is not None and math.isfinite(correlation) else None
