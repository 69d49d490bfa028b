"""Price levels: which prices of a stock lie on another scale than its others.

A vendor's wrong price is seldom alone: a scale is wrong for months, then corrected. So not the jump is set aside but
the prices between two jumps, and only where the jumps are faults: real ones do not separate levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from deepfactor.validation.contradictions import contradictions
from deepfactor.validation.jumps import LONGEST_PAUSE, find_jumps
from deepfactor.validation.neighbours import begins, change, positive_log
from deepfactor.validation.staleness import staleness
from deepfactor.validation.valuations import valuation_facts, with_ratios

# Two levels closer than this factor are the same one: a price that jumps and comes back seldom comes back exactly.
_SAME = math.log(2.0)
_SAME_SHARE = 0.3
# A jump back by less than this may be a real move.
_COMES_BACK = math.log(2.5)
# Without anything that speaks against it, only so large a jump that comes back within so many months is a fault.
_SPIKE = math.log(4.0)
_LONGEST_SPIKE = 3
# Real falls of this size exist, but none that make up for a fault of the same size.
_CERTAIN = math.log(20.0)
# Vendors adjust older prices to the newest, so a level that has lasted is right, and older ones are not.
_LASTING = 7
# A quote that nobody has dealt at for half a year is none; levels are compared without it.
_STALE = 6

_FACTS = ("rise_from_level", "fall_from_level", "spike", "unexplained_split")
_VALUATIONS = ("level_book_to_price", "scale_by_accounts")
_STALENESS = ("untraded_months", "unchanged_months")
_CONTRADICTIONS = ("contradiction", "odd_trades")
_RUNS = {
    "series": pl.UInt32,
    "run": pl.Int64,
    "first": pl.Int64,
    "length": pl.Int64,
    "level": pl.Float64,
    "new_scale": pl.Boolean,
}


@dataclass(frozen=True)
class Jump:
    """A change of a stock's price that may separate levels.

    Attributes
    ----------
    place
        Of the first price after it, among the stock's prices.
    size
        Difference of logarithms.
    fault
        Whether something speaks for a fault of the data.
    new_scale
        Whether it is the prices before that are on another scale, for instance because shares were split.
    """

    place: int
    size: float
    fault: bool = False
    new_scale: bool = False


@dataclass(frozen=True)
class Run:
    """Prices of a stock between two faults.

    Attributes
    ----------
    first, length
        Place of the first price, and their number.
    level
        Sum of the faults before it, in logarithms.
    new_scale
        Whether it began with a jump that put the prices before on another scale.
    accounts
        Whether the accounts agree with it; null if they say nothing.
    """

    first: int
    length: int
    level: float
    new_scale: bool = False
    accounts: bool | None = None


def price_levels(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return facts about every price that can only be seen beside others.

    Parameters
    ----------
    prices, fundamentals
        Raw tables. The newest month of ``prices`` is taken for the as-of month.

    Returns
    -------
    DataFrame
        One row for each of ``prices``, in the same order:

        - ``rise_from_level``: factor by which the price lies off the stock's right level, where a rise separates
          them (1: it does not).
        - ``fall_from_level``: the same where a fall separates them.
        - ``spike``: the same for at most three months, by a factor that could be real if it did not come back.
        - ``unexplained_split``: at the last price before a jump by less than four that only a change of the number
          of shares explains, the factor; else 1.
        - ``change``: factor by which it stands above, or below, the price before; null for the first.
        - What :func:`staleness`, :func:`valuation_facts` and :func:`contradictions` return.
    """
    ordered = prices.with_row_index("row").with_columns(_ordinal()).sort("security_id", "ordinal", "row")
    ordered = with_ratios(ordered.hstack(staleness(ordered)), fundamentals).with_columns(level=_log_price())
    judged = _in_series(ordered.filter(pl.col("untraded_months") < _STALE)).with_columns(
        place=pl.int_range(pl.len()).over("series"), change=change(pl.col("level"), "series").abs().exp()
    )
    runs = _all_runs(find_jumps(judged), dict(judged.group_by("series").len().rows()))
    judged = _numbered(judged, runs)
    judged = judged.hstack(valuation_facts(judged))
    facts = _with_facts(judged, _with_accounts(runs, judged))
    return (
        ordered.hstack(contradictions(ordered))
        .join(facts.select("row", "change", *_FACTS, *_VALUATIONS), on="row", how="left", maintain_order="left")
        .with_columns(pl.col(*_FACTS, "scale_by_accounts").fill_null(1.0))
        .sort("row")
        .select(*_FACTS, "change", *_VALUATIONS, *_STALENESS, *_CONTRADICTIONS)
    )


def separate(jumps: Sequence[Jump], length: int) -> list[Run]:
    """Return the runs of a stock's prices between faults.

    A fault opens a level of its own. A later jump that makes up for it closes it again: if it is a fault too, if it
    is too large to be real, or if it comes within three months.

    Parameters
    ----------
    jumps
        In order.
    length
        Number of the stock's prices.
    """
    starts = [Run(first=0, length=0, level=0.0)]
    opened: list[tuple[Jump, float]] = []
    for n, jump in enumerate(jumps):
        level = starts[-1].level
        closed = next((m for m in reversed(range(len(opened))) if _closes(opened[m][0], jump)), None)
        if closed is not None:
            level = opened[closed][1]
            del opened[closed:]
        elif jump.fault or any(_is_spike(jump, later) for later in jumps[n + 1 : n + 2]):
            opened.append((jump, level))
            level += jump.size
        else:
            continue
        starts.append(Run(jump.place, 0, level, jump.new_scale))
    ends = [run.first for run in starts[1:]] + [length]
    return [replace(run, length=end - run.first) for run, end in zip(starts, ends, strict=True)]


def _cancel(one: Jump, other: Jump) -> bool:
    return abs(one.size + other.size) < max(_SAME, _SAME_SHARE * abs(one.size))


def _closes(opening: Jump, jump: Jump) -> bool:
    certain = jump.fault or abs(opening.size) > _CERTAIN or jump.place - opening.place <= _LONGEST_SPIKE
    return certain and abs(jump.size) > _COMES_BACK and _cancel(opening, jump)


def _is_spike(jump: Jump, later: Jump) -> bool:
    soon = later.place - jump.place <= _LONGEST_SPIKE
    return soon and min(abs(jump.size), abs(later.size)) > _SPIKE and _cancel(jump, later)


def right_level(runs: Sequence[Run]) -> float:
    """Return the level at which a stock's prices are right.

    It is the newest, if it has lasted or is known to have put the older prices on another scale; else the one with
    most prices. Levels that the accounts contradict are left out if there is one with which they agree.
    """
    agreed = [run for run in runs if run.accounts is not False] if any(run.accounts for run in runs) else list(runs)
    newest = runs[-1]
    if newest in agreed and (newest.length >= _LASTING or newest.new_scale):
        return newest.level
    return max((_prices_at(run.level, agreed), -n, run.level) for n, run in enumerate(agreed))[2]


def _prices_at(level: float, runs: Iterable[Run]) -> int:
    return sum(run.length for run in runs if abs(run.level - level) < _SAME)


def level_facts(runs: Sequence[Run]) -> list[dict[str, float]]:
    """Return for each run the facts of :func:`price_levels`; ``unexplained_split`` is that of its last price."""
    right = right_level(runs)
    at_right = [abs(run.level - right) < _SAME for run in runs]
    facts = []
    for n, run in enumerate(runs):
        fact = dict.fromkeys(_FACTS, 1.0)
        off = abs(run.level - right)
        before, after = any(at_right[:n]), any(at_right[n + 1 :])
        if not at_right[n] and not before and off < _SPIKE:
            if not any(abs(later.level - run.level) < _SAME for later in runs[n + 1 :]):
                fact["unexplained_split"] = math.exp(off)
        elif not at_right[n]:
            rises = before if run.level > right else after
            name = "rise_from_level" if rises else "fall_from_level"
            if before and after and run.length <= _LONGEST_SPIKE and off <= _CERTAIN:
                name = "spike"
            fact[name] = math.exp(off)
        facts.append(fact)
    return facts


def _ordinal() -> pl.Expr:
    month = pl.col("month")
    return (month.dt.year().cast(pl.Int32) * 12 + month.dt.month()).alias("ordinal")


def _log_price() -> pl.Expr:
    """Return the logarithm of the total-return price, or of a price made of returns where there are only those."""
    given = pl.when(pl.col("total_return") > -1).then(pl.col("total_return").log1p())
    has_price = pl.col("total_return_price").is_not_null().any().over("security_id")
    price = positive_log(pl.col("total_return_price"))
    return pl.when(has_price).then(price).otherwise(given.cum_sum().over("security_id"))


def _in_series(prices: pl.DataFrame) -> pl.DataFrame:
    """Add ``series``, within which prices can be compared, and leave out prices that are none.

    What is listed after a long pause is another security. Faulty prices are no pause: the scale may have gone wrong
    with them, so the prices before and after belong to one series.
    """
    paused = (change(pl.col("ordinal")) > LONGEST_PAUSE).fill_null(value=False)
    return prices.with_columns(series=(begins() | paused).cum_sum()).filter(pl.col("level").is_not_null())


def _all_runs(jumps: pl.DataFrame, lengths: Mapping[int, int]) -> pl.DataFrame:
    """Return the runs of the series that have more than one, numbered by ``run``."""
    spikes = (pl.col("jump").abs() > _SPIKE).sum() > 1
    suspects = jumps.filter((pl.col("fault").any() | spikes).over("series"))
    rows = []
    for (series,), found in suspects.group_by("series", maintain_order=True):
        records = found.select("place", "jump", "fault", "new_scale").rows()
        runs = separate([Jump(*record) for record in records], lengths[series])
        if len(runs) > 1:
            rows += [(series, n, run.first, run.length, run.level, run.new_scale) for n, run in enumerate(runs)]
    return pl.DataFrame(rows, schema=_RUNS, orient="row")


def _numbered(judged: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Add ``run`` to each price, 0 for series with only one."""
    starts = runs.select("series", "run", place="first")
    joined = judged.join(starts, on=["series", "place"], how="left", maintain_order="left")
    first = pl.when(pl.col("place") == 0).then(0)
    return joined.with_columns(run=pl.coalesce("run", first).forward_fill())


def _with_accounts(runs: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    contradicted = (pl.col("scale_by_accounts") > 1).all()
    known = pl.col("level_book_to_price").is_not_null().any()
    accounts = judged.group_by("series", "run").agg(accounts=pl.when(known).then(~contradicted))
    return runs.join(accounts, on=["series", "run"], how="left", maintain_order="left")


def _with_facts(judged: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for (series,), found in runs.group_by("series", maintain_order=True):
        records = found.select("first", "length", "level", "new_scale", "accounts").rows()
        facts = level_facts([Run(*record) for record in records])
        rows += [(series, n, *fact.values()) for n, fact in enumerate(facts)]
    schema = {"series": pl.UInt32, "run": pl.Int64, **dict.fromkeys(_FACTS, pl.Float64)}
    last = pl.col("run") != pl.col("run").shift(-1, fill_value=-1)
    return judged.join(
        pl.DataFrame(rows, schema=schema, orient="row"), on=["series", "run"], how="left", maintain_order="left"
    ).with_columns(unexplained_split=pl.when(last).then("unexplained_split").otherwise(1.0))
