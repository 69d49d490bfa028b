"""From descriptors to the networks' inputs: ranks within the month, at five lags. Nothing is fitted, nothing leaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.config import UniverseConfig
from deepfactor.descriptors import DESCRIPTORS, FACTOR_OF, NAMES
from deepfactor.errors import HistoryError, SchemaError
from deepfactor.months import LAGS, Month, Window, month_range


def feature_names(descriptors: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the inputs made of some descriptors: lag-major, descriptor-minor, such as ``PER@3``."""
    return tuple(f"{name}@{lag}" for lag in LAGS for name in descriptors)


FEATURES: tuple[str, ...] = feature_names(NAMES)
FEATURE_FACTORS: tuple[str, ...] = tuple(FACTOR_OF[name] for _ in LAGS for name in NAMES)


@dataclass(frozen=True)
class Samples:
    """Inputs of a model, and where they come from.

    Attributes
    ----------
    months
        ``Month.ordinal`` of each sample's feature month, shape (n,).
    security_ids
        Shape (n,).
    inputs
        ``FEATURES`` in order, each in [-0.5, 0.5], float32, shape (n, 80).
    returns
        Total return of the month after, as a fraction, float64, shape (n,); empty where it is not known yet.
    known
        Where an input is the rank of a descriptor and not 0, the median, in its place, shape (n, 80).
    exclusions
        Number of stock-months left out, by reason.
    features
        Name of each column of ``inputs``.
    """

    months: NDArray[np.int64]
    security_ids: NDArray[np.str_]
    inputs: NDArray[np.float32]
    returns: NDArray[np.float64]
    known: NDArray[np.bool_]
    exclusions: dict[str, int]
    features: tuple[str, ...] = FEATURES

    def where(self, rows: NDArray[np.bool_]) -> Samples:
        """Return the samples of which ``rows``, of shape (n,), is true; what was left out stays that of all."""
        return replace(
            self,
            months=self.months[rows],
            security_ids=self.security_ids[rows],
            inputs=self.inputs[rows],
            returns=self.returns[rows] if len(self.returns) else self.returns,
            known=self.known[rows],
        )


@dataclass(frozen=True)
class RankedPanel:
    """The described months as arrays.

    Attributes
    ----------
    first_month
        The month of index 0.
    security_ids
        Sorted, shape (stocks,).
    ranks
        Rank of each descriptor within the month's universe, 0 where there is none, shape (months, stocks, 16).
    known
        Where there is one, shape (months, stocks, 16).
    in_universe
        Shape (months, stocks).
    returns
        Total return of the month, NaN where there is none, shape (months, stocks).
    descriptors
        What the last axis of ``ranks`` and ``known`` holds.
    """

    first_month: Month
    security_ids: NDArray[np.str_]
    ranks: NDArray[np.float32]
    known: NDArray[np.bool_]
    in_universe: NDArray[np.bool_]
    returns: NDArray[np.float64]
    descriptors: tuple[str, ...] = NAMES


def centred_rank(name: str) -> pl.Expr:
    """Map a column to its percentile rank in [-0.5, 0.5], ties averaged; a single value is the median.

    Section 6 of the design: (rank − 1) / (n − 1) − ½ over the rows that have a value.
    """
    column = pl.col(name)
    spread = pl.max_horizontal(column.count() - 1, 1)
    rank = (column.rank("average") - 1) / spread - 0.5
    return pl.when(column.count() > 1).then(rank).otherwise(pl.when(column.is_not_null()).then(0.0))


def rank_panel(descriptors: pl.DataFrame, window: Window) -> RankedPanel:
    """Rank every descriptor within its month's universe and lay the result out as arrays.

    Parameters
    ----------
    descriptors
        ``descriptors.DESCRIPTORS``.
    window
        The months of the run; rows outside are ignored.

    Raises
    ------
    SchemaError
        If a column is missing, unknown or of another type, a row stands twice, or a value is NaN or infinite.
    """
    first, count = window.first_described, len(window.described)
    checked = DESCRIPTORS.check(descriptors, f"the descriptors for {window.as_of}")
    _check_finite(checked)
    frame = checked.filter(pl.col("month").is_between(first.first_day, window.as_of.first_day))
    universe = frame.filter("in_universe").select(
        "month",
        "security_id",
        *(centred_rank(name).over("month").cast(pl.Float32) for name in NAMES),
    )
    security_ids = np.unique(frame["security_id"].to_numpy()).astype(str)
    stocks = len(security_ids)
    ranks = np.zeros((count, stocks, len(NAMES)), dtype=np.float32)
    known = np.zeros((count, stocks, len(NAMES)), dtype=bool)
    member = np.zeros((count, stocks), dtype=bool)
    returns = np.full((count, stocks), np.nan)
    at = _positions(universe, first, security_ids)
    ranks[at] = universe.select(pl.col(NAMES).fill_null(0.0)).to_numpy()
    known[at] = universe.select(pl.col(NAMES).is_not_null()).to_numpy()
    member[at] = True
    returns[_positions(frame, first, security_ids)] = frame["total_return"].to_numpy()
    return RankedPanel(first, security_ids, ranks, known, member, returns)


def _check_finite(descriptors: pl.DataFrame) -> None:
    # A rank would hide it: NaN counts as the largest value.
    finite = descriptors.select(pl.col("total_return", *NAMES).is_finite().all())
    for name in (each.name for each in finite if not each[0]):
        row = descriptors.filter(~pl.col(name).is_finite()).row(0, named=True)
        raise SchemaError(
            f"{name} of {row['security_id']} in {row['month']:%Y-%m} is {row[name]}; what is not known must be null"
        )


def _positions(
    frame: pl.DataFrame, first: Month, security_ids: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    months = frame.select(pl.col("month").dt.year().cast(pl.Int64) * 12 + pl.col("month").dt.month() - 1)
    rows = months.to_series().to_numpy() - first.ordinal
    return rows, np.searchsorted(security_ids, frame["security_id"].to_numpy().astype(str))


def training_samples(panel: RankedPanel, window: Window, universe: UniverseConfig) -> Samples:
    """Return the samples of the training window: features at s, return of s + 1, for s = t-60 … t-1.

    Raises
    ------
    HistoryError
        If a month of the window has fewer stocks than the universe's minimum.
    """
    months = tuple(month_range(window.first_training, window.last_training))
    return _gather(panel, months, universe, labelled=True)


def prediction_samples(panel: RankedPanel, window: Window, universe: UniverseConfig) -> Samples:
    """Return the as-of month's samples, whose returns are not known.

    Raises
    ------
    HistoryError
        If the month has fewer stocks than the universe's minimum.
    """
    return _gather(panel, (window.as_of,), universe, labelled=False)


def _gather(panel: RankedPanel, months: tuple[Month, ...], universe: UniverseConfig, *, labelled: bool) -> Samples:
    blocks, masks, labels, stock_of, month_of = [], [], [], [], []
    exclusions = {
        "not in the universe": 0,
        "fewer than the minimum of descriptors": 0,
        "no return in the month after": 0,
    }
    for month in months:
        index = month - panel.first_month
        listed = panel.in_universe[index]
        described = listed & (panel.known[index].sum(axis=1) >= universe.minimum_descriptors)
        after = panel.returns[index + 1] if labelled else np.zeros(len(listed))
        chosen = np.flatnonzero(described & np.isfinite(after))
        exclusions["not in the universe"] += int((np.isfinite(panel.returns[index]) & ~listed).sum())
        exclusions["fewer than the minimum of descriptors"] += int((listed & ~described).sum())
        exclusions["no return in the month after"] += int(described.sum()) - len(chosen)
        if len(chosen) < universe.minimum_stocks:
            raise HistoryError(
                f"{month} has {len(chosen)} stocks with {universe.minimum_descriptors} of {len(NAMES)} descriptors"
                f"{' and a return in the month after' if labelled else ''}, {universe.minimum_stocks} are needed; "
                f"{int(listed.sum())} stocks are in its universe. Deliver more of them, or ask for a later month."
            )
        lagged = np.array([index - lag for lag in LAGS])[None, :], chosen[:, None]
        blocks.append(panel.ranks[lagged].reshape(len(chosen), -1))
        masks.append(panel.known[lagged].reshape(len(chosen), -1))
        labels.append(after[chosen] if labelled else np.empty(0))
        stock_of.append(chosen)
        month_of.append(np.full(len(chosen), month.ordinal))
    return Samples(
        months=np.concatenate(month_of),
        security_ids=panel.security_ids[np.concatenate(stock_of)],
        inputs=np.concatenate(blocks),
        returns=np.concatenate(labels),
        known=np.concatenate(masks),
        exclusions=exclusions,
        features=feature_names(panel.descriptors),
    )
