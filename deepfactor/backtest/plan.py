"""What a backtest is about: which months, which configuration, and whose returns its forecasts are held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError
from deepfactor.models.names import EXPLAINED_MODELS, MODELS
from deepfactor.months import Month, Window, month_range


def chosen_months(first: Month | None, last: Month | None, months: Sequence[Month] = ()) -> tuple[Month, ...]:
    """Return the as-of months of a backtest, oldest first.

    Parameters
    ----------
    first, last
        The span, both included; may be left out if months are named.
    months
        Of the span only these; none: all.

    Raises
    ------
    ConfigurationError
        If the span is not a span, or a month lies outside.
    """
    if first is None or last is None:
        if (first or last) is not None or not months:
            raise ConfigurationError("say which months: --from and --to, or --months")
        first, last = min(months), max(months)
    if first > last:
        raise ConfigurationError(f"--from {first} comes after --to {last}: turn them around")
    if outside := [str(month) for month in sorted(months) if not first <= month <= last]:
        raise ConfigurationError(
            f"--months {','.join(outside)} lies outside {first} … {last}: leave out --from and --to, or widen them"
        )
    return tuple(sorted(set(months))) or tuple(month_range(first, last))


def narrowed(
    config: Config, models: Sequence[str] = (), stocks: int | None = None, members: int | None = None
) -> Config:
    """Return the configuration with fewer models, stocks or ensemble members; what is not said stays.

    Where all stay, so do the run ids; otherwise the runs are other ones than those of ``deepfactor run``.

    Parameters
    ----------
    config
        What is narrowed.
    models
        Names of models, in any order; none: the configuration's. The signal model is the configuration's if it is among
        them, else the first that can be explained.
    stocks
        The largest by market value.
    members
        Networks per ensemble.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    """
    if unknown := [name for name in models if name not in MODELS]:
        raise ConfigurationError(f"--models: there is no {', '.join(unknown)}; choose from {', '.join(MODELS)}")
    if models:
        # The order is part of the run id: that of the configuration, then that of the registry.
        order = dict.fromkeys((*config.models, *MODELS))
        kept = tuple(name for name in order if name in models)
        signal_model = next(name for name in (config.signal_model, *EXPLAINED_MODELS, *MODELS) if name in kept)
        config = replace(config, models=kept, signal_model=signal_model)
    if stocks is not None:
        config = replace(config, universe=replace(config.universe, size=stocks))
    if members is not None:
        config = replace(config, training=replace(config.training, members=members))
    return config


def months_with_returns(months: Iterable[Month]) -> tuple[Month, ...]:
    """Return the months to describe besides the backtest's own, so that every forecast can be held against a return.

    The return of month t + 1 stands in the descriptors of every run whose window has described it.

    Parameters
    ----------
    months
        The backtest's as-of months.
    """
    described = set(months)
    more: list[Month] = []
    for month in sorted(described, reverse=True):
        if describing(month + 1, (*described, *more)) is None:
            more.append(month + 1)
    return tuple(sorted(more))


def sources_of_returns(months: Iterable[Month], described: Iterable[Month]) -> dict[Month, Month]:
    """Return for each month's forecasts the as-of month whose run holds the return that came, from the fewest runs.

    Parameters
    ----------
    months
        As-of months of forecasts; one whose return no run holds is left out.
    described
        The as-of months of the runs that have described their window.
    """
    candidates = tuple(described)
    sources: dict[Month, Month] = {}
    source = None
    for month in sorted(months, reverse=True):
        source = describing(month + 1, () if source is None else (source,)) or describing(month + 1, candidates)
        if source is not None:
            sources[month] = source
    return sources


def describing(month: Month, as_of_months: Iterable[Month]) -> Month | None:
    """Return the oldest of the as-of months whose descriptors hold a month's return; none if there is none.

    The oldest holds the most of the months before.
    """
    fitting = [each for each in as_of_months if Window(each).first_described <= month <= each]
    return min(fitting, default=None)
