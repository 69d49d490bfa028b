"""Models trained and judged month by month on a simulated market, as in production but without store and validation.

The market is simulated, landed and read as a delivery; panel, descriptors, features, training and evaluation are the
product's own functions. Premia and leaks can be planted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import polars as pl

from deepfactor.attribution.tables import signals_table
from deepfactor.config import SimulationConfig, TrainingConfig, UniverseConfig, load_config
from deepfactor.descriptors import describe
from deepfactor.evaluation.forecasts import FORECASTS, with_realised
from deepfactor.evaluation.naive import constant_forecasts
from deepfactor.evaluation.performance import monthly_performance
from deepfactor.features import RankedPanel, prediction_samples, rank_panel, training_samples
from deepfactor.models.base import Model
from deepfactor.models.blas import one_thread
from deepfactor.models.registry import train_model
from deepfactor.months import Month, Window, month_range
from deepfactor.panel import build_panel
from deepfactor.sources import open_source
from deepfactor.sources.premia import PREMIA, Form

LAST = Month.parse("2016-02")
"""The last as-of month; its result is known a month later."""

Tables = dict[str, pl.DataFrame]


def unchanged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


@dataclass(frozen=True)
class Market:
    """A market to be simulated, and what is planted in it.

    Attributes
    ----------
    form, seed, stocks
        As in ``SimulationConfig``.
    strength
        Times the product's own premia.
    rolling_months
        Of the history before the first descriptors.
    """

    form: Form
    seed: int
    stocks: int = 1948
    strength: float = 1.0
    rolling_months: int = 60

    @property
    def premia(self) -> Mapping[str, float]:
        return {term: self.strength * size for term, size in PREMIA[self.form].items()}


@dataclass(frozen=True)
class Walk:
    """Which months are forecast, and how models are trained for them.

    Attributes
    ----------
    months
        Number of as-of months, ``LAST`` the last.
    training_months
        Of each training.
    retrained_every
        Months for which a model is used; 1 as in production.
    models
        Names.
    training
        How.
    universe
        Which stocks.
    """

    months: int = 36
    training_months: int = 60
    retrained_every: int = 1
    models: tuple[str, ...] = ("dfm1", "dfm2", "linear")
    training: TrainingConfig = field(default_factory=TrainingConfig)
    universe: UniverseConfig = field(default_factory=UniverseConfig)

    @property
    def as_of(self) -> list[Month]:
        return list(month_range(LAST + -(self.months - 1), LAST))


def described(
    market: Market,
    walk: Walk,
    spoil_tables: Callable[[Tables], Tables] = dict,
    spoil_descriptors: Callable[[pl.DataFrame], pl.DataFrame] = unchanged,
) -> pl.DataFrame:
    """Return the descriptors of all months of a walk, and of the month after, whose returns are the last results.

    Parameters
    ----------
    market, walk
        What is simulated, and for which months.
    spoil_tables, spoil_descriptors
        Plant a leak in the raw tables, or in ``descriptors.DESCRIPTORS``.
    """
    window = Window(LAST + 1, training_months=walk.months + walk.training_months, rolling_months=market.rolling_months)
    simulation = SimulationConfig(
        stocks=market.stocks,
        seed=market.seed,
        first_month=str(window.first_history),
        last_month=str(window.as_of),
        premia=market.form,
    )
    with tempfile.TemporaryDirectory(prefix="deepfactor-truth-") as folder:
        planted = patch.dict(PREMIA, {market.form: market.premia})  # type: ignore[arg-type]
        with planted:
            source = open_source(
                replace(load_config().source, folder=str(Path(folder) / "market"), simulate=simulation)
            )
        tables = {name: source.fetch(name, window.first_history, window.as_of) for name in source.datasets()}
    panel = build_panel(spoil_tables(tables), window, walk.universe, "XTKS")
    return spoil_descriptors(describe(panel, window))


def walk_forward(descriptors: pl.DataFrame, walk: Walk) -> pl.DataFrame:
    """Return ``performance.PERFORMANCE`` of all models of a walk, and of the forecast of zero."""
    window = Window(LAST + 1, training_months=walk.months + walk.training_months)
    panel = rank_panel(descriptors, window)
    # Once for all months: to look for the libraries takes longer than to predict.
    with one_thread():
        signals = pl.concat([frame for model in walk.models for frame in _signals(panel, model, walk)])
    returns = descriptors.select("month", "security_id", "total_return")
    forecasts = with_realised(signals, returns)
    zero = constant_forecasts(forecasts, dict.fromkeys(forecasts["month"].unique().to_list(), 0.0))
    return monthly_performance(pl.concat([forecasts, zero.filter(model="zero")]).sort(FORECASTS.key))


def _signals(panel: RankedPanel, name: str, walk: Walk) -> Iterator[pl.DataFrame]:
    model: Model | None = None
    for number, month in enumerate(walk.as_of):
        window = Window(month, training_months=walk.training_months)
        if model is None or number % walk.retrained_every == 0:
            samples = training_samples(panel, window, walk.universe)
            model = train_model(name, month, samples, walk.training, lambda _: None).model
        asked = prediction_samples(panel, window, walk.universe)
        predictions = model.member_predictions(asked.inputs)
        yield signals_table(month, name, asked.security_ids, predictions)
