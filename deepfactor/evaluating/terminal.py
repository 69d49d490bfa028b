"""What the terminal shows of an evaluation: Table 4 beside its uncertainty, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.plausibility import sentences
from deepfactor.reports.numbers import decimal, legible, percent

# Nine columns must fit into the 80 of a plain terminal.
_PADDING = (0, 1, 0, 0)
_HEADINGS = ("months", "MAE %", "RMSE %", "return %", "vol. %", "Sharpe", "rank IC", "t")


def evaluation_text(evaluation: Evaluation) -> Group:
    """Return Table 4 with its standard errors below each figure, warnings and notes, for a terminal of 80 columns."""
    months = evaluation.performance["month"].n_unique()
    title = Text(f"{evaluation.first} … {evaluation.last}", style="bold")
    title.append(f"   {months} {'month' if months == 1 else 'months'} scored", "not bold")
    return Group(
        title,
        _table_4(evaluation),
        Text(
            "MAE and RMSE are means over months; return, volatility and Sharpe ratio are a year's, of the highest "
            "fifth less the lowest, before costs. ± is one standard error; it does not say which of two models is "
            "better, the comparisons in summary.md do.",
            style="dim",
        ),
        *_warnings(evaluation),
        *(Text(f"- {legible(note)}") for note in evaluation.notes),
    )


def _table_4(evaluation: Evaluation) -> RenderableType:
    if evaluation.table_4.is_empty():
        return Text("No month has a result yet, so there is nothing to hold the forecasts against.")
    table = Table(box=None, padding=_PADDING)
    table.add_column("", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in evaluation.table_4.iter_rows(named=True):
        table.add_row(Text(legible(row["model"]), style="bold"), str(row["months"]), *_figures(row))
        table.add_row("", Text("±", style="dim"), *(Text(each, style="dim") for each in _errors(row)))
    return table


def _figures(row: dict[str, Any]) -> Iterator[str]:
    yield percent(row["mae"], 3, signed=False)
    yield percent(row["rmse"], 3, signed=False)
    yield percent(row["annual_return"], 1)
    yield percent(row["annual_volatility"], 1, signed=False)
    yield decimal(row["sharpe_ratio"])
    yield decimal(row["rank_ic"], 3)
    yield decimal(row["rank_ic_t"], 1)


def _errors(row: dict[str, Any]) -> Iterator[str]:
    yield percent(row["mae_se"], 3, signed=False)
    yield percent(row["rmse_se"], 3, signed=False)
    yield percent(row["annual_return_se"], 1, signed=False)
    yield percent(row["annual_volatility_se"], 1, signed=False)
    yield decimal(row["sharpe_ratio_se"], signed=False)
    yield decimal(row["rank_ic_se"], 3, signed=False)


def _warnings(evaluation: Evaluation) -> Iterator[Text]:
    for each in sentences(evaluation.plausibility):
        yield Text("Too good to be true: ", style="bold red").append(legible(each), "not bold")
