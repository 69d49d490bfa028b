"""The page of one explanation: a single file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from deepfactor.reports.beeswarm import Beeswarm, beeswarm
from deepfactor.reports.pages import render_page
from deepfactor.reports.shares_over_time import SharesOverTime, shares_over_time
from deepfactor.reports.waterfall import Step, Waterfall, largest, steps_of, waterfall

if TYPE_CHECKING:
    from deepfactor.explaining.explanation import Comparison, Contribution, Explanation
    from deepfactor.explaining.surroundings import Swarm

# So many descriptors are steps of their own.
_STEPS = 9
_SHADES = 4
_LEVEL = "level"


def render_explanation(explanation: Explanation, swarms: Sequence[Swarm], shares: pl.DataFrame) -> bytes:
    """Return an explanation as one HTML page in UTF-8; the same explanation gives the same bytes.

    The page's content security policy forbids everything but its own style.

    Parameters
    ----------
    explanation
        What is explained.
    swarms
        The descriptors that are shown against all stocks, on one scale.
    shares
        ``schemas.SHARES`` of the model up to the month; those of the portfolio are shown, if there are any.
    """
    parts = (*explanation.factors, *explanation.remainders)
    return render_page(
        "explanation.html.j2",
        "month.css",
        None,
        explanation=explanation,
        predicted=explanation.month + 1,
        by_factor=_by_factor(explanation),
        by_descriptor=_by_descriptor(explanation),
        parts=[_row(each, parts) for each in parts],
        descriptors=[_row(each, explanation.descriptors) for each in _ordered(explanation.descriptors)],
        swarms=_drawn(swarms),
        movements=_movements(explanation.comparison),
        history=_history(explanation, shares),
    )


def _by_factor(explanation: Explanation) -> Waterfall:
    parts = (*explanation.factors, *explanation.remainders)
    steps = steps_of(
        {each.name: each.contribution for each in parts},
        {each.name: each.dispersion for each in parts},
        [each.name for each in parts if each.disputed],
    )
    return waterfall(steps, *_ends(explanation))


def _by_descriptor(explanation: Explanation) -> Waterfall:
    steps = [_step(each) for each in explanation.descriptors]
    rest = [_step(each) for each in explanation.remainders if each.name == "bias"]
    leak = sum(each.contribution for each in explanation.remainders if each.name == "leak")
    return waterfall([*rest, *largest(steps, _STEPS), *([Step("leak", leak)] if leak else [])], *_ends(explanation))


def _ends(explanation: Explanation) -> tuple[Step, Step]:
    (level,) = (each.contribution for each in explanation.remainders if each.name == _LEVEL)
    return Step(_LEVEL, level), Step("prediction", explanation.prediction, explanation.dispersion)


def _step(part: Contribution) -> Step:
    return Step(part.name, part.contribution, part.dispersion, part.disputed)


def _ordered(parts: Sequence[Contribution]) -> list[Contribution]:
    return sorted(parts, key=lambda each: -abs(each.contribution))


def _row(part: Contribution, beside: Sequence[Contribution]) -> dict[str, Any]:
    """Return a row of a table, with how strongly its cell is coloured; not the level's, which is no stock's own."""
    furthest = max(abs(each.contribution) for each in beside if each.name != _LEVEL)
    return {"part": part, "shade": 0 if part.name == _LEVEL else _shade(part.contribution, furthest)}


def _shade(value: float, furthest: float) -> int:
    """Return from -4 to 4 how strongly a cell is coloured."""
    return round(max(-1.0, min(1.0, value / furthest)) * _SHADES) if furthest else 0


def _drawn(swarms: Sequence[Swarm]) -> list[Beeswarm]:
    if not swarms:
        return []
    shown = [each.contributions[each.known] for each in swarms]
    reach = (min(each.min(initial=0.0) for each in shown), max(each.max(initial=0.0) for each in shown))
    return [
        beeswarm(each.descriptor, each.ranks, each.contributions, each.known, reach=reach, highlighted=each.highlighted)
        for each in swarms
    ]


def _movements(comparison: Comparison | None) -> list[dict[str, Any]]:
    """Return the rows of the table of changes, with how strongly their cells are coloured."""
    if comparison is None:
        return []
    furthest = max(abs(value) for each in comparison.movements for value in (each.inputs, each.model))
    return [
        {"movement": each, "inputs": _shade(each.inputs, furthest), "model": _shade(each.model, furthest)}
        for each in comparison.movements
    ]


def _history(explanation: Explanation, shares: pl.DataFrame) -> SharesOverTime | None:
    group = explanation.name
    if explanation.kind != "portfolio" or shares.filter(model=explanation.model, group=group).is_empty():
        return None
    return shares_over_time(shares, explanation.model, group)
