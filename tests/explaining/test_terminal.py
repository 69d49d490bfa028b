"""What the terminal shows: legible at 80 columns, without colour, and safe whatever the data call themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from deepfactor.explaining.explanation import Comparison, Contribution, Driver, Explanation, Movement
from deepfactor.explaining.terminal import explanation_text
from deepfactor.months import Month
from deepfactor.schemas import FACTORS

MONTH = Month.parse("2016-02")
HOSTILE = "[red]7203\x1b[31m\u202e"

FACTOR_PARTS = tuple(
    Contribution(name, name, value, 0.0004, disputed, share, 0.01)
    for name, value, disputed, share in zip(
        FACTORS,
        (0.004, -0.002, 0.001, 0.0005, -0.0035),
        (False, True, False, True, False),
        (0.3, 0.2, 0.1, 0.1, 0.3),
        strict=True,
    )
)
EXPLANATION = Explanation(
    month=MONTH,
    model="dfm2",
    run_id="5f0c2a9e41d7b836",
    rules=("zero",),
    members=5,
    kind="stock",
    name="7203",
    stocks=1,
    weights_sum=1.0,
    stocks_in_month=1948,
    prediction=0.0123,
    dispersion=0.0021,
    rank=1041,
    quintile=3,
    factors=FACTOR_PARTS,
    descriptors=(
        Contribution("PER", "Value", 0.0005, 0.0002, False, 0.9, 0.02),
        Contribution("12-1MOM", "Momentum", -0.0007, 0.0003, True, 0.1, 0.02),
    ),
    remainders=(
        Contribution("bias", "bias", 0.0018, 0.001, False),
        Contribution("level", "level", 0.0105, 0.0, False),
        Contribution("leak", "leak", 1e-19, 0.0, False),
    ),
    drivers=(
        Driver(
            "PER",
            0,
            "Value",
            0.0004,
            0.0001,
            False,
            0.43,
            1.0,
            0.071,
            "fraction of market value",
            "cheaper by earnings than 93 % of the market, three months ago 88 %",
            "net income 7.1 % of market value",
        ),
        Driver(
            "CAP",
            12,
            "Size",
            -0.0003,
            0.0004,
            True,
            -0.2,
            1.0,
            None,
            "logarithm of currency",
            "a year ago smaller than 70 % of the market, now 71 %",
            "",
        ),
    ),
    comparison=Comparison(
        MONTH + -1, "00ff", 0.0113, (Movement("Risk", 0.003, 0.0013, -0.0003, 0.004),), entering=0.0, entered=0
    ),
    incomparable="",
)

EXPECTED = """\
7203   dfm2 as of 2016-02, run 5f0c2a9e41d7b836
Predicted total return of 2016-03: +1.23 % ± 0.21 (5 members)
Rank 1,041 of 1,948, quintile 3 (5 holds the highest)

By factor   the parts add up; shares of absolute relevance tell size only
            Return     ±                                             Share    ±
────────────────────────────────────────────────────────────────────────────────
Risk         +0.40  0.04                      │███████████████████  30.0 %  1.0
Quality      −0.20  0.04  ?         ▐█████████│                     20.0 %  1.0
Momentum     +0.10  0.04                      │█████                10.0 %  1.0
Value        +0.05  0.04  ?                   │██▌                  10.0 %  1.0
Size         −0.35  0.04     █████████████████│                     30.0 %  1.0
bias         +0.18  0.10                      │████████▌
level        +1.05  0.00     the same for every stock
leak          0.00  0.00                      │

prediction   +1.23  0.21

By descriptor, over its lags   the largest first
            Return     ±                                   Share    ±    Factor
────────────────────────────────────────────────────────────────────────────────
12-1MOM      −0.07  0.03  ?  ███████████████│             10.0 %  2.0  Momentum
PER          +0.05  0.02                    │███████████  90.0 %  2.0     Value

The 2 inputs that matter most   rank within the universe of the month
Input   Return     What it says
────────────────────────────────────────────────────────────────────────────────
PER@0    +0.04     cheaper by earnings than 93 % of the market, three months
                   ago 88 %
                   net income 7.1 % of market value
CAP@12   −0.03  ?  a year ago smaller than 70 % of the market, now 71 %

Since last month   +0.10 = inputs +0.13, model −0.03
What changed in the stock's inputs, and in the model; the bars are their sum.
            2016-01  Inputs  Model  2016-02
────────────────────────────────────────────────────────────────────────────────
Risk          +0.30   +0.13  −0.03    +0.40  │█████████████████████████████████

prediction    +1.13   +0.13  −0.03    +1.23  │█████████████████████████████████

In percent of return. ± is the standard deviation across the members; ?: they
disagree on the sign. Amounts are in the delivery's currency."""


def shown(explanation: Explanation, width: int = 80, *, colour: bool = False) -> str:
    console = Console(file=StringIO(), width=width, color_system="truecolor" if colour else None, force_terminal=colour)
    console.print(explanation_text(explanation))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def plain(explanation: Explanation, width: int = 80) -> str:
    """Return it without the blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in shown(explanation, width).splitlines())


def test_the_whole_of_it() -> None:
    assert plain(EXPLANATION) == EXPECTED


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_it_fits(width: int) -> None:
    lines = shown(EXPLANATION, width).splitlines()
    assert max(map(len, lines)) <= min(width, 120)
    assert not any("…" in line for line in lines)


def test_colour_says_nothing_that_text_does_not() -> None:
    coloured = shown(EXPLANATION, colour=True)
    assert coloured != shown(EXPLANATION)
    assert "\n".join(map(str.rstrip, re.sub("\x1b[^m]*m", "", coloured).splitlines())) == EXPECTED


def test_names_are_text() -> None:
    hostile = replace(
        EXPLANATION,
        name=HOSTILE,
        model=HOSTILE,
        run_id=HOSTILE,
        comparison=None,
        incomparable=f"{HOSTILE} is not there",
    )
    text = shown(hostile)
    assert text.startswith("[red]7203\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}   [red]7203")
    assert not {"\x1b", "\u202e"} & set(text)
    assert "Not known: [red]7203" in text


def test_a_portfolio_and_its_entering_stocks() -> None:
    assert EXPLANATION.comparison is not None
    entering = replace(EXPLANATION.comparison, entering=0.0004, entered=3)
    portfolio = replace(
        EXPLANATION, kind="portfolio", name="top quintile", stocks=390, rank=None, quintile=None, comparison=entering
    )
    text = plain(portfolio)
    assert "390 of 1,948 stocks; the weights' sum is 1" in text
    assert "+0.10 = inputs +0.13, model −0.03, entering stocks +0.04" in text
    assert "Entering: 3 stocks that were not predicted in 2016-01." in " ".join(text.split())
    assert re.search(r"^entering +\+0\.04 ", text, re.MULTILINE)
    assert "Rank" not in text


@pytest.mark.parametrize(
    ("weights_sum", "shown_as"), [(1 - 1e-12, "1"), (-1e-17, "0"), (0.95, "0.95"), (-12345.678, "−12,346")]
)
def test_the_sum_of_weights(weights_sum: float, shown_as: str) -> None:
    text = shown(replace(EXPLANATION, kind="portfolio", rank=None, quintile=None, weights_sum=weights_sum))
    assert f"the weights' sum is {shown_as}\n" in text.replace(" \n", "\n")


def test_one_member() -> None:
    assert "+1.23 % ± 0.21 (1 member)" in shown(replace(EXPLANATION, members=1))
