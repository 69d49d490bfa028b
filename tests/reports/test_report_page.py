import base64
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import SchemaError
from deepfactor.reports.figures import Balance, SharePanel, balances, histogram, share_panels
from deepfactor.reports.month import FILES, render_month
from deepfactor.reports.numbers import decimal, legible, percent
from deepfactor.schemas import FACTORS, REMAINDERS

TABLES = ("signals", "ledger", "shares", "portfolios", "correlations", "attribution")
EXPLAINED = tuple(name for name in TABLES if name != "signals")
EXPECTED = Path(__file__).with_name("expected_month.html")


ACCOUNTS = st.fixed_dictionaries(dict.fromkeys((*FACTORS, "bias", "leak"), st.floats(-0.05, 0.05)))


class TablesOf(HTMLParser):
    """The body rows of each table that has an id: for each cell its text and its exact value."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.rows: dict[str, list[list[tuple[str, str | None]]]] = {}
        self._table: str | None = None
        self._cell: tuple[str, str | None] | None = None
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_ = dict(attrs)
        if tag == "table":
            self._table = given_.get("id")
            if self._table:
                self.rows[self._table] = []
        elif tag == "tr" and self._table:
            self.rows[self._table].append([])
        elif tag in {"td", "th"} and self._table:
            self._cell = ("", given_.get("data-value"))

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell = (self._cell[0] + data, self._cell[1])

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"} and self._table and self._cell is not None:
            self.rows[self._table][-1].append(self._cell)
            self._cell = None
        elif tag == "table":
            self._table = None


def body_rows(page: bytes, table: str) -> list[list[tuple[str, str | None]]]:
    return TablesOf(page).rows[table][1:]


class TestRegression:
    def test_page_is_the_expected_one(self, make_report: Any, tmp_path: Path) -> None:
        page = render_month(make_report(stocks=24, models=("dfm2", "linear"), names=["<b>&'\"", "日本電産"])).decode()
        found = page[page.index("<main>") : page.index("</main>")]
        changed = tmp_path / EXPECTED.name
        changed.write_text(found, encoding="utf-8")
        assert found == EXPECTED.read_text(encoding="utf-8"), f"if this change is wanted: cp {changed} {EXPECTED}"

    def test_verdict_on_descriptors_and_signals(self, make_report: Any) -> None:
        unmet = {
            "table": "signals",
            "name": "models agree",
            "severity": "warning",
            "success": False,
            "message": "they <b>",
        }
        results = {"passed": True, "faults": [], "expectations": [unmet, {**unmet, "success": True}]}
        page = render_month(make_report(results=results)).decode()
        assert "Validation of descriptors and signals" in page
        assert "1 of 2 expectations met" in page
        assert [row[2][0] for row in body_rows(page.encode(), "expectations-unmet-results")] == ["models agree"]
        assert 'href="validation/data_docs/index.html"' in page
        assert 'href="results/data_docs/index.html"' in page

    def test_order_of_rows_does_not_change_a_byte(self, make_report: Any) -> None:
        report = make_report(stocks=40)
        shuffled = {name: getattr(report, name).sample(fraction=1, shuffle=True, seed=1) for name in TABLES}
        assert render_month(make_report(stocks=40, **shuffled)) == render_month(report)

    def test_every_process_gives_the_same_bytes(self, make_report: Any) -> None:
        program = (
            "import sys, hashlib; sys.path.insert(0, sys.argv[1]); from conftest import build_report; "
            "from deepfactor.reports.month import render_month; "
            "sys.stdout.write(hashlib.sha256(render_month(build_report(30))).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", program, str(Path(__file__).parent)],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert digests == {hashlib.sha256(render_month(make_report(30))).hexdigest()}


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=1, max_size=5, unique=True)
    )
    def test_whatever_a_name_holds_it_stays_text(self, make_report: Any, names: list[str]) -> None:
        page = render_month(make_report(stocks=24, models=("dfm2",), names=names))
        shown = [row[0][0] for row in body_rows(page, "signals-table")]
        # The parser gives back what was escaped; it must be the names, and nothing that a name made of the page.
        assert sorted(shown) == sorted(
            [*map(legible, names), *(f"{1300 + 7 * index}" for index in range(len(names), 24))]
        )

    @pytest.mark.parametrize(
        "name",
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "</td></table>",
            "</script>",
            "{{ 7*7 }}",
            "'--",
        ],
    )
    def test_hostile_names_are_escaped_wherever_they_stand(self, make_report: Any, name: str) -> None:
        honest = render_month(make_report(stocks=24, models=("dfm2",), names=["A"]))
        report = make_report(
            stocks=24,
            models=("dfm2",),
            names=[name],
            run_id=name,
            facts={name: name},
            gates=[{"gate": name, "model": name, "value": None, "threshold": 1.0, "passed": True, "meaning": name}],
            validation={
                "passed": True,
                "faults": [name],
                "expectations": [
                    {"table": name, "name": name, "severity": name, "message": name, "success": False, "observed": name}
                ],
                "quarantined": [{"table": name, "reason": name, "rows": 1}],
            },
        )
        page = render_month(report)
        if "<" in name:
            assert page.count(name.encode()) == honest.count(name.encode())
        assert page.count(b"<script") == honest.count(b"<script") == 2
        assert b"<img" not in page
        assert b"49" not in re.findall(rb"<bdi>(.*?)</bdi>", page)

    def test_steering_characters_do_not_reach_the_page(self, make_report: Any) -> None:
        page = render_month(make_report(stocks=24, names=["\u202e7203\x1b[2J\x00"])).decode()
        assert not set("\u202e\x1b\x00") & set(page)

    def test_signals_table_holds_the_frames_figures(self, make_report: Any) -> None:
        report = make_report(stocks=120)
        rows = body_rows(render_month(report), "signals-table")
        frame = report.signals.filter(pl.col("model") == "dfm2").join(
            report.ledger.filter(pl.col("model") == "dfm2").drop("prediction"), on="security_id"
        )
        by_security = {each["security_id"]: each for each in frame.iter_rows(named=True)}
        assert len(rows) == len(by_security) == 120
        for (security, _), (rank, _), *figures in rows:
            row = by_security[security]
            assert int(rank) == row["rank"]
            assert int(figures.pop(2)[0]) == row["quintile"]
            names = ("prediction", "dispersion", *FACTORS, *REMAINDERS)
            for name, (text, value) in zip(names, figures, strict=True):
                assert float(value or "nan") == row[name]
                assert text == percent(row[name], signed=name != "dispersion")
            exact = {name: float(value or "nan") for name, (_, value) in zip(names, figures, strict=True)}
            parts = sum(exact[name] for name in (*FACTORS, *REMAINDERS))
            assert parts == pytest.approx(exact["prediction"], abs=1e-12), "a row adds up"

    def test_rows_stand_by_rank(self, make_report: Any) -> None:
        ranks = [int(row[1][0]) for row in body_rows(render_month(make_report(stocks=60)), "signals-table")]
        assert ranks == list(range(1, 61))

    def test_shares_table_holds_the_frames_figures(self, make_report: Any) -> None:
        report = make_report(stocks=24)
        rows = body_rows(render_month(report), "shares-table")
        expected = report.shares.sort("model", "group", "factor")
        assert [(row[1][0], row[0][0], row[2][0]) for row in rows] == expected.select("model", "group", "factor").rows()
        assert [float(row[3][1] or "nan") for row in rows] == expected["share"].to_list()
        assert [float(row[4][1] or "nan") for row in rows] == expected["dispersion"].to_list()
        assert [row[5][0] == "disputed" for row in rows] == expected["disputed"].to_list()

    def test_figure_3_draws_the_shares(self, make_report: Any) -> None:
        report = make_report(stocks=24)
        panels = share_panels(report.shares, report.models)
        groups = ["highest prediction", "top quintile", "bottom quintile", "long-short"]
        assert [panel.group for panel in panels] == groups
        shares = {row[:3]: row[3] for row in report.shares.select("group", "factor", "model", "share").iter_rows()}
        drawn = {
            (panel.group, factor.factor, bar.model): bar
            for panel in panels
            for factor in panel.factors
            for bar in factor.bars
        }
        assert drawn.keys() == shares.keys()
        units = [bar.width / shares[key] for key, bar in drawn.items()]
        assert max(units) - min(units) < 2, "all bars on one scale"
        disputed = {row[:3] for row in report.shares.filter("disputed").select("group", "factor", "model").iter_rows()}
        assert {key for key, bar in drawn.items() if bar.disputed} == disputed
        assert sum(panel.description.count("disputed sign") for panel in panels) == len(disputed) > 0
        for bar in drawn.values():
            assert bar.low - 0.01 <= SharePanel.LEFT + bar.width <= bar.high + 0.01

    @settings(max_examples=60, deadline=None)
    @given(st.lists(ACCOUNTS, min_size=1, max_size=6), st.floats(-0.05, 0.05))
    def test_balance_adds_up_from_the_level_whatever_the_signs(self, accounts: list[Any], level: float) -> None:
        rows = [{**account, "level": level, "prediction": sum(account.values()) + level} for account in accounts]
        for row, drawn in zip(rows, balances(rows), strict=True):
            signed = sum(each.width if each.left >= drawn.level - 0.01 else -each.width for each in drawn.segments)
            assert signed == pytest.approx(drawn.prediction - drawn.level, abs=0.8)
            for place in (drawn.level, drawn.prediction):
                assert -0.01 <= place <= Balance.WIDTH + 0.01
            assert all(-0.01 <= each.left <= each.left + each.width <= Balance.WIDTH + 0.01 for each in drawn.segments)
            if drawn.zero is not None and abs(row["prediction"]) > 1e-3:
                assert (drawn.prediction > drawn.zero - 0.1) == (row["prediction"] > 0)

    def test_level_moves_no_bar(self, make_report: Any) -> None:
        rows = make_report(stocks=50).stocks().to_dicts()
        moved = [{**row, "level": row["level"] + 0.01, "prediction": row["prediction"] + 0.01} for row in rows]
        for one, other in zip(balances(rows), balances(moved), strict=True):
            assert (one.segments, one.level) == (other.segments, other.level)

    def test_each_end_of_the_market_is_shown_once(self, make_report: Any) -> None:
        for stocks, ends in ((1, [1]), (7, [4, 3]), (60, [10, 10])):
            page = render_month(make_report(stocks=stocks, models=("dfm2",))).decode()
            extremes = page[page.index('id="extremes"') : page.index('id="explanations"')]
            tables = extremes.split('<table class="extreme">')[1:]
            assert [table.count("<bdi>") for table in tables] == ends

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
    def test_histogram_counts_every_stock_once(self, values: list[float]) -> None:
        stocks = pl.DataFrame({"prediction": values, "quintile": [3] * len(values)})
        counts = [int(each.description.rsplit(" ", 1)[1]) for each in histogram(stocks).columns]
        assert sum(counts) == len(values)

    def test_page_asks_for_nothing(self, make_report: Any) -> None:
        page = render_month(make_report()).decode()
        assert not re.search(r"""(?:src|action|xlink:href)\s*=|https?:|url\(|@import|\sstyle=|\son[a-z]+=""", page)
        assert set(re.findall(r'href="([^"#]+)', page)) == {"data:,", "validation/data_docs/index.html", *FILES}

    def test_security_policy_allows_exactly_this_style_and_script(self, make_report: Any) -> None:
        page = render_month(make_report(stocks=24)).decode()
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
        assert policy is not None
        for tag in ("style", "script"):
            content = page.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy[1]
        assert policy[1].startswith("default-src 'none'")
        assert "unsafe" not in policy[1]


class TestExplanations:
    def test_table_5_holds_the_frames_figures(self, make_report: Any) -> None:
        report = make_report(stocks=24, models=("dfm2", "linear"))
        rows = body_rows(render_month(report), "correlations")[1:]
        assert [row[0][0] for row in rows] == list(FACTORS)
        for (factor, _), *cells in rows:
            for place, model in enumerate(("dfm2", "linear")):
                expected = report.correlations.row(by_predicate=expression(model, factor), named=True)
                for (text, value), name in zip(cells[3 * place :], ("spearman", "kendall", "share"), strict=False):
                    written = percent(expected[name], 1, signed=False) if name == "share" else decimal(expected[name])
                    assert text == written
                    assert value == str(expected[name])
        assert [cell[0] for cell in rows[-1][1:3]] == ["–", "–"], "of one factor nothing can be said"

    def test_highest_lowest_and_long_short(self, make_report: Any) -> None:
        report = make_report(stocks=60)
        page = render_month(report).decode()
        titles = re.findall(r'<figcaption>([^<]*)</figcaption>\n<svg class="waterfall"', page)
        stocks = report.stocks()["security_id"]
        assert titles == [
            f"Highest prediction: {stocks[0]}",
            f"Lowest prediction: {stocks[-1]}",
            "Top quintile over bottom quintile, by factor",
            "The same by descriptor",
        ]

    def test_the_descriptors_that_matter_most(self, make_report: Any) -> None:
        report = make_report(stocks=60)
        page = render_month(report).decode()
        caption = (
            r'<figcaption>([^<]*?)(?: <span class="soft">(\d+) unknown</span>)?</figcaption>\n<svg class="beeswarm"'
        )
        over_lags = report.attribution.group_by("security_id", "descriptor").agg(pl.col("relevance").sum())
        size = over_lags.group_by("descriptor").agg(pl.col("relevance").abs().mean()).sort(-pl.col("relevance"))
        unknown = report.attribution.filter(lag=0).group_by("descriptor").agg((~pl.col("known")).sum())
        expected = size.head(6).join(unknown, on="descriptor", maintain_order="left")
        assert [(name, int(count or 0)) for name, count in re.findall(caption, page)] == expected.select(
            "descriptor", "known"
        ).rows()

    def test_other_models_do_not_matter_to_them(self, make_report: Any) -> None:
        report = make_report(stocks=24)
        other = report.attribution.with_columns(model=pl.lit("dfm1"), relevance=pl.lit(1.0))
        assert render_month(make_report(stocks=24, attribution=pl.concat([other, report.attribution]))) == (
            render_month(report)
        )

    def test_nor_do_their_disputes(self, make_report: Any) -> None:
        shares = make_report(stocks=24).shares.with_columns(disputed=pl.col("model") != "dfm2")
        page = render_month(make_report(stocks=24, shares=shares)).decode()
        explanations = page[page.index('id="explanations"') : page.index('id="shares"')]
        assert 'class="disputed"' not in explanations
        assert page.count('class="disputed"') == 4 * 5 * 2, "in Figure 3 they are marked"

    def test_what_is_not_there_is_not_shown(self, make_report: Any) -> None:
        report = make_report(stocks=24)
        empty = {name: getattr(report, name).clear() for name in ("portfolios", "correlations", "attribution")}
        page = render_month(make_report(stocks=24, **empty)).decode()
        assert page.count('<svg class="waterfall"') == 2
        for absent in (
            'class="beeswarm"',
            'id="correlations"',
            "What a descriptor does",
            "over bottom quintile",
            "<dialog",
        ):
            assert absent not in page

    def test_ids_are_unique_and_every_picture_has_words(self, make_report: Any) -> None:
        page = render_month(make_report(stocks=60)).decode()
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        for labels in re.findall(r'aria-labelledby="([^"]+)"', page):
            assert set(labels.split()) <= set(ids)
        pictures = page.count('role="img"')
        assert pictures == page.count("<desc id=") == 4 + 6 + 4 + 1

    def test_a_stock_without_all_its_inputs_is_refused(self, make_report: Any) -> None:
        attribution = make_report(stocks=24).attribution.filter(
            ~((pl.col("lag") == 3) & (pl.col("descriptor") == "CAP"))
        )
        with pytest.raises(SchemaError, match=r"attribution of dfm2: 1896 rows instead of 80 for each of 24 stocks"):
            render_month(make_report(stocks=24, attribution=attribution))


def expression(model: str, factor: str) -> pl.Expr:
    return (pl.col("model") == model) & (pl.col("factor") == factor)


class TestGates:
    SOFT: ClassVar = {
        "gate": "stability",
        "model": "dfm2",
        "value": 0.1,
        "threshold": 0.5,
        "meaning": "m",
        "hard": False,
    }

    def test_a_soft_gate_that_fails_warns_and_blesses(self, make_report: Any) -> None:
        gates = [*make_report(stocks=24).gates, {**self.SOFT, "passed": False}]
        page = render_month(make_report(stocks=24, gates=gates)).decode()
        assert "✓ Blessed.</b> Validation passed; 7 of 8 gates passed, 1 only warns." in page
        assert [cell for cell, _ in body_rows(page.encode(), "gates")[-1]][:4] == [
            "! warning",
            "stability",
            "dfm2",
            "warns",
        ]

    def test_a_soft_gate_that_passes_is_no_news(self, make_report: Any) -> None:
        gates = [*make_report(stocks=24).gates, {**self.SOFT, "passed": True}]
        page = render_month(make_report(stocks=24, gates=gates)).decode()
        assert "✓ Blessed.</b> Validation passed; 8 of 8 gates passed." in page

    @pytest.mark.parametrize("kind", [{}, {"hard": True}])
    def test_a_hard_gate_that_fails_does_not_bless(self, make_report: Any, kind: dict[str, bool]) -> None:
        failed = {name: value for name, value in self.SOFT.items() if name != "hard"} | {"passed": False} | kind
        gates = [*make_report(stocks=24).gates, failed, {**self.SOFT, "passed": False}]
        page = render_month(make_report(stocks=24, gates=gates)).decode()
        assert "Not blessed.</b> Validation passed; 1 of 9 gates failed." in page
        assert [row[0][0] for row in body_rows(page.encode(), "gates")[-2:]] == ["✗ failed", "! warning"]


class TestModelsWithSignalsOnly:
    """Support vectors and forests have signals, and neither a ledger nor shares."""

    MODELS = ("dfm2", "forest", "linear", "svr")

    def _report(self, make_report: Any) -> Any:
        whole = make_report(stocks=24, models=self.MODELS)
        explained = pl.col("model").is_in(["dfm2", "linear"])
        changes = {name: getattr(whole, name).filter(explained) for name in EXPLAINED}
        return make_report(stocks=24, models=self.MODELS, **changes)

    def test_they_stand_among_the_models(self, make_report: Any) -> None:
        page = render_month(self._report(make_report)).decode()
        models = page[page.index('id="models"') : page.index('id="checks"')]
        assert re.findall(r'<th scope="row" class="text">(\w+)</th>', models) == list(self.MODELS)

    def test_the_page_says_that_they_have_no_shares(self, make_report: Any) -> None:
        page = render_month(self._report(make_report)).decode()
        assert "Without an account, and so without shares: forest, svr." in page
        assert {row[1][0] for row in body_rows(page.encode(), "shares-table")} == {"dfm2", "linear"}

    def test_figure_3_has_bars_of_the_others_only(self, make_report: Any) -> None:
        report = self._report(make_report)
        bars = [
            bar for panel in share_panels(report.shares, report.models) for each in panel.factors for bar in each.bars
        ]
        assert {bar.model for bar in bars} == {"dfm2", "linear"}

    def test_nothing_is_said_where_all_have_shares(self, make_report: Any) -> None:
        assert make_report(stocks=24).unexplained == ()
        assert b"Without an account" not in render_month(make_report(stocks=24))

    def test_the_signal_model_must_not_be_one(self, make_report: Any) -> None:
        report = self._report(make_report)
        changed = make_report(
            stocks=24, models=self.MODELS, ledger=report.ledger, shares=report.shares, signal_model="svr"
        )
        with pytest.raises(SchemaError, match="24 stocks of svr have no account in the ledger"):
            render_month(changed)


class TestValidation:
    def test_a_stock_without_an_account_is_refused(self, make_report: Any) -> None:
        ledger = make_report(stocks=24).ledger.filter(pl.col("security_id") != "1307")
        with pytest.raises(SchemaError, match=r"1 stocks of dfm2 have no account in the ledger, such as '1307'"):
            render_month(make_report(stocks=24, ledger=ledger))

    def test_a_signal_model_without_signals_is_refused(self, make_report: Any) -> None:
        with pytest.raises(SchemaError, match="signal model 'svr' has no signals"):
            render_month(make_report(stocks=24, signal_model="svr"))

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_of_another_schema_is_refused(self, make_report: Any, table: str) -> None:
        frame = getattr(make_report(stocks=24), table).drop("month")
        with pytest.raises(SchemaError, match=f"the table {table} lacks"):
            render_month(make_report(stocks=24, **{table: frame}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"gates": []},
            {"validation": {}},
            {"validation": {"passed": False}},
            {
                "gates": [
                    {"gate": "g", "model": None, "value": None, "threshold": 1.0, "passed": False, "meaning": "none"}
                ]
            },
        ],
        ids=["no gates", "no verdict", "validation failed", "gate failed"],
    )
    def test_what_is_not_blessed_never_looks_blessed(self, make_report: Any, changes: dict[str, Any]) -> None:
        page = render_month(make_report(stocks=24, **changes)).decode()
        assert "Not blessed." in page
        assert "✓ Blessed" not in page

    def test_a_tiny_market_can_be_shown(self, make_report: Any) -> None:
        page = render_month(make_report(stocks=1, models=("linear",)))
        assert len(body_rows(page, "signals-table")) == 1

    def test_constant_predictions_can_be_shown(self, make_report: Any) -> None:
        report = make_report(stocks=24)
        flat = {
            "signals": report.signals.with_columns(prediction=pl.lit(0.0)),
            "ledger": report.ledger.with_columns(
                pl.lit(0.0).alias(each) for each in (*FACTORS, *REMAINDERS, "prediction")
            ),
            "portfolios": report.portfolios.with_columns(contribution=pl.lit(0.0), dispersion=pl.lit(0.0)),
            "attribution": report.attribution.with_columns(relevance=pl.lit(0.0)),
        }
        assert b"nan" not in render_month(make_report(stocks=24, **flat)).split(b"<main>")[1].lower()
