"""The page of an explanation holds its figures, asks nothing of the network, and trusts no name."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser

from deepfactor.explaining.explanation import Comparison, Contribution, Driver, Explanation, Movement
from deepfactor.explaining.surroundings import Swarm
from deepfactor.months import Month
from deepfactor.reports.explanation import render_explanation
from deepfactor.schemas import FACTORS, REMAINDERS, SHARES

MONTH = Month.parse("2016-02")
HOSTILE = "<script>document.title = 'taken'</script>\x1b\u202e"
DESCRIPTORS = {"60VOL": "Risk", "PER": "Value", "12-1MOM": "Momentum", "CAP": "Size"}


def _parts(names: dict[str, str], sizes: list[float]) -> tuple[Contribution, ...]:
    return tuple(
        Contribution(name, factor, size, 0.3 * abs(size), place % 3 == 1, 1 / len(names), 0.01)
        for place, ((name, factor), size) in enumerate(zip(names.items(), sizes, strict=True))
    )


def made_explanation(**changes: Any) -> Explanation:
    """Return an explanation in which everything adds up."""
    accounts = (*FACTORS, *REMAINDERS)
    sizes = (0.004, -0.002, 0.001, 0.0005, -0.0035, 0.0018, 0.0105, 0.0)
    driver = Driver(
        descriptor="PER",
        lag=3,
        factor="Value",
        contribution=0.0004,
        dispersion=0.0005,
        disputed=True,
        position=0.43,
        known=1.0,
        value=0.071,
        unit="fraction of market value",
        words="three months ago cheaper by earnings than 93 % of the market, now 88 %",
        value_words="net income 7.1 % of market value",
    )
    moved = tuple(
        Movement(account, size - 0.0003, 0.0005, -0.0002, size) for account, size in zip(accounts, sizes, strict=True)
    )
    made = Explanation(
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
        prediction=sum(sizes),
        dispersion=0.0021,
        rank=1041,
        quintile=3,
        factors=_parts({each: each for each in FACTORS}, list(sizes[:5])),
        descriptors=_parts(DESCRIPTORS, [0.004, -0.003, 0.001, -0.002]),
        remainders=tuple(
            Contribution(name, name, size, 0.0, False) for name, size in zip(REMAINDERS, sizes[5:], strict=True)
        ),
        drivers=(driver, replace(driver, lag=0, disputed=False, value=None, value_words="")),
        comparison=Comparison(MONTH + -1, "00ff", sum(sizes) - 0.0024, moved, entering=0.0, entered=0),
        incomparable="",
    )
    return replace(made, **changes)


def made_swarms(highlighted: int | None = 7) -> list[Swarm]:
    ranks = np.linspace(-0.5, 0.5, 400, dtype=np.float32)
    noise = np.random.default_rng(1).normal(0, 0.001, len(ranks))
    known = np.arange(len(ranks)) % 40 != 0
    return [Swarm(name, ranks, 0.004 * ranks + noise, known, highlighted) for name in DESCRIPTORS]


def made_shares(group: str, months: int = 14) -> pl.DataFrame:
    rows = [
        ((MONTH + -back).first_day, "dfm2", group, factor, 0.2, 0.02, False)
        for back in range(months)
        for factor in FACTORS
    ]
    return pl.DataFrame(rows, schema=dict(SHARES.columns), orient="row")


def rendered(explanation: Explanation | None = None, shares: pl.DataFrame | None = None) -> str:
    page = render_explanation(
        explanation or made_explanation(), made_swarms(), SHARES.empty() if shares is None else shares
    )
    return page.decode()


class Tables(HTMLParser):
    """The exact values of the cells of each table that has an id, by its rows' headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, list[float]]] = {}
        self._table, self._row, self._heading = "", "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._table = given.get("id") or ""
            self.rows[self._table] = {}
        self._heading = tag == "th" and given.get("scope") == "row"
        if tag == "td" and given.get("data-value") is not None:
            self.rows[self._table].setdefault(self._row, []).append(float(given["data-value"] or "nan"))

    def handle_data(self, data: str) -> None:
        if self._heading:
            self._row = data


class TestContent:
    def test_tables_hold_the_exact_figures(self) -> None:
        made = made_explanation()
        tables = Tables(rendered(made)).rows
        for part in made.factors:
            assert tables["factors"][part.name] == [
                part.contribution,
                part.dispersion,
                part.share,
                part.share_dispersion,
            ]
        for part in made.remainders:
            assert tables["factors"][part.name] == [part.contribution, part.dispersion]
        assert tables["factors"]["prediction"] == [made.prediction, made.dispersion]
        assert list(tables["descriptors"]) == ["60VOL", "PER", "CAP", "12-1MOM"]  # the largest first
        assert tables["drivers"]["PER@3"] == [0.0004, 0.0005]
        assert made.comparison is not None
        for each in made.comparison.movements:
            assert tables["movements"][each.account] == [each.before, each.inputs, each.model, each.after]
        found = made.comparison
        assert tables["movements"]["prediction"] == [found.before, found.inputs, found.model, made.prediction]

    def test_what_is_said(self) -> None:
        text = rendered()
        for said in (
            "<b>+1.23 %</b> ± 0.21 between 5 members",
            "Rank 1,041 of 1,948, quintile 3",
            "three months ago cheaper by earnings than 93 % of the market, now 88 %",
            "net income 7.1 % of market value",
            "? disputed",
            "The ring is <bdi>7203</bdi>",
            "run <code>5f0c2a9e41d7b836</code> of 2016-02 · rules zero",
            "compared with run <code>00ff</code> of 2016-01",
        ):
            assert said in text
        assert 'id="history"' not in text

    def test_pictures(self) -> None:
        text = rendered()
        for name in ("by-factor", "by-descriptor", *(f"swarm-{number}" for number in range(1, 5))):
            assert f'aria-labelledby="{name}-title {name}-text"' in text
        assert text.count('class="highlight"') == 4

    def test_a_portfolio(self) -> None:
        comparison = made_explanation().comparison
        assert comparison is not None
        made = made_explanation(
            kind="portfolio",
            name="long-short",
            rank=None,
            quintile=None,
            stocks=778,
            weights_sum=-1e-17,
            comparison=replace(comparison, entering=0.0001, entered=2),
        )
        text = render_explanation(made, made_swarms(None), made_shares("long-short")).decode()
        assert "778 of 1,948 stocks; the weights' sum is 0." in re.sub(r"\s+", " ", text).replace("&#39;", "'")
        assert "2 stocks that were not predicted in 2016-01 by <b>+0.01</b>" in text
        assert Tables(text).rows["movements"]["entering"] == [0.0001]
        assert 'id="over-time-title"' in text
        assert "The ring is" not in text
        assert 'class="highlight"' not in text

    def test_without_history_or_comparison(self) -> None:
        made = made_explanation(
            kind="portfolio", name="mine.csv", comparison=None, incomparable="2016-01 is not published"
        )
        text = rendered(made, made_shares("top quintile"))
        assert 'id="history"' not in text
        assert "Not known: 2016-01 is not published." in text

    def test_an_explanation_of_nothing(self) -> None:
        nothing = tuple(
            replace(each, contribution=0.0, dispersion=0.0, share=0.0) for each in made_explanation().factors
        )
        rest = tuple(replace(each, contribution=0.0) for each in made_explanation().remainders)
        made = made_explanation(factors=nothing, descriptors=nothing, remainders=rest, prediction=0.0, comparison=None)
        assert "<b>0.00 %</b>" in rendered(made)
        assert render_explanation(made, [], SHARES.empty())


class TestSafety:
    def test_names_are_escaped(self) -> None:
        made = made_explanation(name=HOSTILE, model=HOSTILE, run_id=HOSTILE, comparison=None, incomparable=HOSTILE)
        text = rendered(made)
        assert "<script" not in text
        assert text.count("&lt;script&gt;") >= 4
        assert not {"\x1b", "\u202e"} & set(text)

    def test_nothing_is_asked_of_the_network(self) -> None:
        text = rendered()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script-src" not in policy
        assert not re.search(r"(https?:)?//\w", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))
        assert not re.search(r"\b(src|srcset|action)=", text)
        assert " style=" not in text

    def test_the_same_bytes(self) -> None:
        assert rendered() == rendered()


@pytest.mark.integration
@pytest.mark.parametrize("width", [380, 1180])
def test_in_a_browser(browser: Browser, tmp_path: Path, width: int) -> None:
    """Styled, no wider than the screen, without a complaint, and nothing of a hostile name runs."""
    path = tmp_path / "page.html"
    made = made_explanation(name=HOSTILE, kind="portfolio", rank=None, quintile=None)
    path.write_bytes(render_explanation(made, made_swarms(None), made_shares(HOSTILE)))
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert complaints == []
    assert page.title().startswith("<script>document.title = 'taken'</script>")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('h2')).fontSize") != "24px"
    for picture in page.locator("svg[role=img]").all():
        box = picture.bounding_box()
        assert box is not None
        assert box["height"] > 60
