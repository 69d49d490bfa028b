"""What the terminal shows of an explanation; every sign is written, colour only repeats it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from deepfactor.explaining.bars import STYLES, SignedBar
from deepfactor.explaining.explanation import Comparison, Contribution, Driver, Explanation
from deepfactor.reports.numbers import figure, legible, percent

# Wider, the eye loses the row.
_WIDEST = 120
_PADDING = (0, 1, 0, 0)
_DISPUTED = "?"
_LEVEL = "level"


def explanation_text(explanation: Explanation) -> RenderableType:
    """Return an explanation for a terminal of 80 columns or more; names from the data are never read as markup."""
    parts: list[RenderableType] = [
        _headline(explanation),
        _heading("By factor", "the parts add up; shares of absolute relevance tell size only"),
        _factors(explanation),
        _heading("By descriptor, over its lags", "the largest first"),
        _descriptors(explanation.descriptors),
        _heading(f"The {len(explanation.drivers)} inputs that matter most", "rank within the universe of the month"),
        _drivers(explanation.drivers),
        _heading("Since last month", _moved(explanation)),
        _change(explanation),
        Text(
            "\nIn percent of return. ± is the standard deviation across the members; "
            f"{_DISPUTED}: they disagree on the sign. Amounts are in the delivery's currency.",
            style="dim",
        ),
    ]
    return Constrain(Group(*parts), _WIDEST)


def _headline(explanation: Explanation) -> RenderableType:
    title = Text(legible(explanation.name), style="bold")
    title.append(
        f"   {legible(explanation.model)} as of {explanation.month}, run {legible(explanation.run_id)}", "not bold"
    )
    spread = percent(explanation.dispersion, signed=False)
    told = Text(f"Predicted total return of {explanation.month + 1}: ")
    told.append(f"{percent(explanation.prediction)} %", style="bold")
    told.append(f" ± {spread} ({explanation.members} {'members' if explanation.members > 1 else 'member'})")
    return Group(title, told, Text(_place(explanation)))


def _place(explanation: Explanation) -> str:
    among = f"{explanation.stocks_in_month:,}"
    if explanation.rank is not None:
        return f"Rank {explanation.rank:,} of {among}, quintile {explanation.quintile} (5 holds the highest)"
    stocks = f"{explanation.stocks:,} of {among} stocks"
    return f"{stocks}; the weights' sum is {figure(round(explanation.weights_sum, 9) + 0.0)}"


def _heading(text: str, note: str) -> Text:
    heading = Text(f"\n{text}", style="bold")
    return heading.append(f"   {note}", style="not bold dim") if note else heading


def _table(*columns: str, bar: int | None = None) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=_PADDING, expand=True)
    for place, column in enumerate(columns):
        if place == bar:
            table.add_column(column, ratio=1)
        else:
            table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def _factors(explanation: Explanation) -> Table:
    parts = [*explanation.factors, *explanation.remainders]
    # Beside the level, which is large and the same for all, nothing else could be told apart.
    own = [each for each in parts if each.name != _LEVEL]
    bars = dict(zip((each.name for each in own), SignedBar.all(each.contribution for each in own), strict=True))
    table = _table("", "Return", "±", "", "", "Share", "±", bar=4)
    for part in parts:
        drawn = bars.get(part.name, Text("the same for every stock", style="dim"))
        table.add_row(*_figures(part), drawn, *_shares(part))
    table.add_section()
    spread = percent(explanation.dispersion, signed=False)
    table.add_row(Text("prediction", style="bold"), _signed(explanation.prediction, bold=True), spread)
    return table


def _descriptors(descriptors: Sequence[Contribution]) -> Table:
    ordered = sorted(descriptors, key=lambda each: -abs(each.contribution))
    table = _table("", "Return", "±", "", "", "Share", "±", "Factor", bar=4)
    for part, bar in zip(ordered, SignedBar.all(each.contribution for each in ordered), strict=True):
        table.add_row(*_figures(part), bar, *_shares(part), part.factor)
    return table


def _figures(part: Contribution) -> tuple[RenderableType, ...]:
    disputed = _DISPUTED if part.disputed else ""
    return Text(f"{part.name:<10}"), _signed(part.contribution), percent(part.dispersion, signed=False), disputed


def _shares(part: Contribution) -> tuple[str, str]:
    if part.share is None or part.share_dispersion is None:
        return "", ""
    return f"{percent(part.share, 1, signed=False)} %", percent(part.share_dispersion, 1, signed=False)


def _drivers(drivers: Sequence[Driver]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=_PADDING, expand=True)
    table.add_column("Input", no_wrap=True)
    table.add_column("Return", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("What it says", ratio=1, overflow="fold")
    for each in drivers:
        said = Text(each.words)
        if each.value_words:
            said.append(f"\n{each.value_words}", style="dim")
        table.add_row(Text(each.input), _signed(each.contribution), _DISPUTED if each.disputed else "", said)
    return table


def _change(explanation: Explanation) -> RenderableType:
    found = explanation.comparison
    if found is None:
        return Text(f"Not known: {legible(explanation.incomparable)}")
    table = _table("", str(found.month), "Inputs", "Model", str(explanation.month), "", bar=5)
    moved = [(each.account, each.before, each.inputs, each.model, each.after) for each in found.movements]
    total = ("prediction", found.before, found.inputs, found.model, explanation.prediction)
    bars = SignedBar.all(after - before for _, before, *_, after in [*moved, total])
    for (name, before, inputs, model, after), bar in zip(moved, bars, strict=False):
        table.add_row(Text(f"{name:<10}"), *map(percent, (before, inputs, model, after)), bar)
    if found.entered:
        bar = SignedBar(found.entering, bars[0].low, bars[0].high)
        table.add_row("entering", "", "", "", percent(found.entering), bar)
    table.add_section()
    table.add_row(*(Text(each, style="bold") for each in ("prediction", *map(percent, total[1:]))), bars[-1])
    return Group(Text(_told(found, explanation), style="dim"), table)


def _moved(explanation: Explanation) -> str:
    found = explanation.comparison
    if found is None:
        return ""
    moved = percent(explanation.prediction - found.before)
    parts = [("inputs", found.inputs), ("model", found.model)]
    parts += [("entering stocks", found.entering)] if found.entered else []
    return f"{moved} = " + ", ".join(f"{name} {percent(value)}" for name, value in parts)


def _told(found: Comparison, explanation: Explanation) -> str:
    whose = "the stock's inputs" if explanation.kind == "stock" else "the stocks' inputs, with this month's weights"
    text = f"What changed in {whose}, and in the model; the bars are their sum."
    if found.entered:
        stocks = "1 stock that was" if found.entered == 1 else f"{found.entered:,} stocks that were"
        text += f" Entering: {stocks} not predicted in {found.month}."
    return text


def _signed(value: float, bold: bool = False) -> Text:
    return Text(percent(value), style=f"{STYLES[value > 0]}{' bold' if bold else ''}")
