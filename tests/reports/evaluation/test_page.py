from __future__ import annotations

import re
from dataclasses import replace

import polars as pl
import pytest

from deepfactor.evaluating.evaluation import TABLES, Evaluation
from deepfactor.reports.evaluation.page import render_evaluation
from deepfactor.reports.evaluation.paper import PaperRow
from deepfactor.reports.evaluation.views import shares_view, views, wealth_view
from tests.evaluating.figures import differing, figures_of
from tests.evaluating.made_evaluation import made_evaluation


@pytest.fixture(scope="module")
def page(made: Evaluation) -> str:
    return render_evaluation(made).decode()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


class TestRegression:
    def test_figures_are_frozen(self, made: Evaluation) -> None:
        shown = {row.names: [each.text for each in row.cells] for row in views(made)["table_4"].rows}
        assert shown["linear",] == ["28", "7.766", "9.679", "+7.6", "13.5", "+0.57", "+0.017"]
        assert shown["zero",] == ["28", "7.664", "9.525", "–", "–", "–", "–"]
        errors = [each.beside.text for each in views(made)["table_4"].rows[2].cells if each.beside]
        assert errors == ["± 0.178", "± 0.229", "± 7.6", "± 1.9", "± 0.66", "± 0.022"]

    def test_the_same_evaluation_gives_the_same_bytes(self, made: Evaluation, page: str) -> None:
        assert render_evaluation(made).decode() == page


class TestFigures:
    @pytest.mark.parametrize("name", ["made", "single"])
    def test_all_are_those_of_the_tables(self, name: str, request: pytest.FixtureRequest) -> None:
        evaluation: Evaluation = request.getfixturevalue(name)
        figures = figures_of(render_evaluation(evaluation))
        assert not differing(figures, evaluation.frames())
        assert {each.frame for each in figures} == {*TABLES} - {
            "portfolio_returns", "market_returns", "factor_returns", "monthly_correlations", "forecasts"
        }  # fmt: skip

    def test_one_that_is_not_is_found(self, made: Evaluation) -> None:
        other = made.table_4.with_columns(pl.col("mae") + 1e-12)
        figures = figures_of(render_evaluation(replace(made, table_4=other)))
        assert {each.of.split("|")[0] for each in differing(figures, made.frames())} == {"mae"}

    def test_what_is_read_is_the_exact_value_rounded(self, page: str) -> None:
        for each in figures_of(page.encode()):
            if each.of.startswith("mae|"):
                assert each.text == f"{float(each.value) * 100:.3f}"
            if each.of.startswith("break_even|"):
                assert each.text == (f"{float(each.value):.1f}" if each.value else "–")

    def test_every_row_is_shown(self, made: Evaluation) -> None:
        shown = views(made)
        assert len(shown["table_4"].rows) == made.table_4.height == 8
        assert len(shown["absolute"].rows) + len(shown["squared"].rows) == made.loss_comparisons.height
        assert [row.names for row in shown["losses"].rows][:5] == [
            ("dfm1", "dfm2"), ("dfm1", "linear"), ("dfm1", "svr"), ("dfm1", "forest"), ("dfm1", "zero")
        ]  # fmt: skip
        assert [row.names for row in shown["deciles"].rows][:10] == [("dfm1", str(n)) for n in range(1, 11)]
        assert len(wealth_view(made, "dfm1").rows) == made.cumulated.filter(model="dfm1")["close"].n_unique()
        assert [row.names for row in shares_view(made, "dfm1").rows][:2] == [("2006-03",), ("2006-04",)]


class TestSaid:
    def test_months_that_are_missing(self, page: str) -> None:
        text = text_of(page)
        assert "Forecasts of 28 months" in text
        assert "Not known yet: 1. Not published: 1." in text
        assert "Not published, and so in no figure: 2006-12." in text

    def test_that_nothing_is_too_good(self, page: str) -> None:
        assert "No forecast is too good to be true" in page

    def test_that_something_is_too_good(self, made: Evaluation) -> None:
        suspicious = made.plausibility.with_columns(
            suspicious=pl.when(pl.col("model") == "dfm2").then(statement=True).otherwise(pl.col("suspicious"))
        )
        text = text_of(render_evaluation(replace(made, plausibility=suspicious)).decode())
        assert "✗ Too good to be true." in text
        assert "the mean rank IC of dfm2 is" in text
        assert "No forecast is too good" not in text

    def test_that_there_are_too_few_months(self, single: Evaluation) -> None:
        text = text_of(render_evaluation(single).decode())
        assert "Too few months to say whether a forecast is too good to be true" in text
        assert "are not told of fewer than 12" in text

    def test_that_the_papers_figures_are_not_here(self, page: str) -> None:
        assert "Not included: Nakagawa, Uchida, Aoshima (2018)" in text_of(page)

    def test_the_papers_figures_beside_ours(self, single: Evaluation) -> None:
        text = text_of(render_evaluation(single, [PaperRow("a model", 0.1, 0.2, 0.5, 0.0611, 0.0823)]).decode())
        assert "another market, another period" in text
        assert "a model 6.11 8.23 +10.00 20.00 +0.50" in text
        assert "Not included" not in text

    def test_parameters_and_files(self, made: Evaluation, page: str) -> None:
        text = text_of(page)
        assert f"evaluation {made.id} · code {made.inputs['code_version']}" in text
        assert "basis points 10 · missing return 0 · trials –" in text
        links = re.findall(r'<a href="([^"#]+)">', page)
        assert links == ["summary.md", "summary.json", "inputs.json", *(f"{name}.parquet" for name in TABLES)]


class TestSafety:
    def test_it_asks_for_nothing(self, page: str) -> None:
        assert "default-src 'none'" in page
        assert not re.search(r'(?:src|action)\s*=|https?:|url\(|@import|<script|style="', page)

    def test_names_from_the_data_are_escaped(self) -> None:
        evil = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}"
        page = render_evaluation(made_evaluation(14, ("linear", evil), stocks=20)).decode()
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\N{REPLACEMENT CHARACTER}" in page

    def test_every_picture_says_what_it_shows(self, page: str) -> None:
        pictures = re.findall(r'<svg[^>]*aria-labelledby="([\w-]+) ([\w-]+)"', page)
        assert len(pictures) == page.count("<svg") > 30
        for title, text in pictures:
            assert page.count(f'<title id="{title}">') == page.count(f'<desc id="{text}">') == 1
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))

    def test_every_link_within_the_page_leads_somewhere(self, page: str) -> None:
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'\bid="([^"]+)"', page))


class TestUnusual:
    def test_no_result_at_all(self) -> None:
        text = text_of(render_evaluation(made_evaluation(2, ("linear",), unknown=2)).decode())
        assert "Forecasts of 0 months" in text
        assert "Not known yet, the month after is not published: 2006-03 … 2006-04." in text

    def test_no_model_can_be_explained(self) -> None:
        assert "None of the models can be explained." in render_evaluation(made_evaluation(2, ("svr",))).decode()

    def test_a_span_of_gaps(self) -> None:
        evaluation = made_evaluation(9, ("linear",), absent=(1, 3, 5, 7), stocks=20)
        assert not differing(figures_of(render_evaluation(evaluation)), evaluation.frames())
