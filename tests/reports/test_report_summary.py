import re
from typing import Any

import polars as pl
import pytest
from rich.console import Console, RenderableType

from deepfactor.objects import Reference
from deepfactor.reports.numbers import decimal, figure, legible, percent, size
from deepfactor.reports.summary import durations_table, month_summary, objects_table
from deepfactor.reports.verdict import Check, Quarantine, checks, quarantines
from deepfactor.schemas import FACTORS


def shown(renderable: RenderableType, width: int = 100) -> str:
    console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


class TestRegression:
    def test_first_and_last_lines(self, make_report: Any) -> None:
        lines = [line.split() for line in shown(month_summary(make_report(stocks=300))).splitlines()]
        stocks = make_report(stocks=300).stocks()
        first, last = stocks.row(0, named=True), stocks.row(-1, named=True)
        assert ["1", first["security_id"], percent(first["prediction"])] in [line[:3] for line in lines]
        assert ["300", last["security_id"], percent(last["prediction"])] in [line[:3] for line in lines]

    def test_durations(self) -> None:
        lines = shown(durations_table({"ingest": 1.25, "train": 5.0})).splitlines()
        assert [line.split() for line in lines if line.strip() and "─" not in line] == [
            ["Step", "Seconds"],
            ["ingest", "1.2", "█" * 10],
            ["train", "5.0", "█" * 40],
            ["all", "6.2"],
        ]


class TestProperties:
    def test_top_and_bottom_ten_with_their_three_largest_contributions(self, make_report: Any) -> None:
        report = make_report(stocks=300)
        rows = [line for line in shown(month_summary(report)).splitlines() if re.match(r" +\d+ +\d{4} ", line)]
        assert len(rows) == 20
        expected = report.stocks().to_dicts()
        for line, row in zip(rows, expected[:10] + expected[-10:], strict=True):
            words = line.split()
            assert words[:4] == [
                str(row["rank"]),
                row["security_id"],
                percent(row["prediction"]),
                percent(row["dispersion"], signed=False),
            ]
            largest = sorted(FACTORS, key=lambda each: -abs(row[each]))[:3]
            assert words[4:] == [word for each in largest for word in (each, percent(row[each]))]

    def test_a_model_without_an_account_changes_nothing(self, make_report: Any) -> None:
        whole = make_report(stocks=40, models=("dfm2", "svr"))
        tables = ("ledger", "shares", "portfolios", "correlations", "attribution")
        explained = {name: getattr(whole, name).filter(pl.col("model") == "dfm2") for name in tables}
        report = make_report(stocks=40, models=("dfm2", "svr"), **explained)
        assert shown(month_summary(report)) == shown(month_summary(whole))

    def test_fits_a_plain_terminal(self, make_report: Any) -> None:
        text = shown(month_summary(make_report(stocks=300)), width=80)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert len(re.findall(r"^ +\d+  \d{4} ", text, re.MULTILINE)) == 20

    def test_a_long_name_squeezes_no_figure(self, make_report: Any) -> None:
        text = shown(month_summary(make_report(stocks=300, names=["株式会社" * 20])), width=80)
        assert "…" not in text

    def test_small_market_is_shown_once(self, make_report: Any) -> None:
        rows = [
            line
            for line in shown(month_summary(make_report(stocks=7))).splitlines()
            if re.match(r" +\d+ +\d{4} ", line)
        ]
        assert [int(line.split()[0]) for line in rows] == list(range(1, 8))

    def test_names_are_neither_markup_nor_escape_sequences(self, make_report: Any) -> None:
        text = shown(month_summary(make_report(stocks=8, names=["[b]x[/b]", "\x1b[2Jy"], run_id="[red]run")))
        assert "[b]x[/b]" in text
        assert "[red]run" in text
        assert "\x1b" not in text

    def test_facts_leave_verdicts_and_exclusions_to_other_lines(self, make_report: Any) -> None:
        text = " ".join(shown(month_summary(make_report(stocks=24))).split())
        assert "stocks in the universe 33 · stocks scored 24 · training rows 16,842 Gates: 7 of 7 passed" in text

    def test_a_failed_gate_is_told_with_its_numbers(self, make_report: Any) -> None:
        gate = {"gate": "spread", "model": "dfm1", "value": 1e-7, "threshold": 1e-4, "passed": False, "meaning": "flat"}
        text = shown(month_summary(make_report(stocks=24, gates=[gate])))
        assert "0 of 1 passed" in text
        assert "failed: spread of dfm1 is 1e-07, threshold 0.0001: flat" in text

    def test_a_soft_gate_that_failed_is_a_warning(self, make_report: Any) -> None:
        soft = {"gate": "stability", "model": "dfm1", "value": 0.2, "threshold": 0.5, "passed": False, "meaning": "low"}
        gates = [{**soft, "gate": "spread", "passed": True}, {**soft, "hard": False}]
        text = shown(month_summary(make_report(stocks=24, gates=gates)))
        assert "Gates: 1 of 2 passed (spread)" in text
        assert "warning: stability of dfm1 is 0.2, threshold 0.5: low" in text
        assert "failed" not in text

    def test_the_level_is_said_once(self, make_report: Any) -> None:
        text = shown(month_summary(make_report(stocks=24)), width=80)
        assert "All predictions start from the level of +0.60, the same for every stock." in text
        assert text.count("level") == 1

    def test_objects_are_listed_below_their_folder(self) -> None:
        objects = [
            Reference("runs/2016-02/ab/signals.parquet", "c" * 64, 20_480),
            Reference("runs/2016-02/ab/models/dfm1/card.json", "a" * 64, 1000),
        ]
        text = shown(objects_table(objects), width=80)
        assert "Published below runs/2016-02/ab/" in text
        assert re.search(r"models/dfm1/card\.json +1\.0 kB +aaaaaaaaaaaa", text)
        assert re.search(r"signals\.parquet +20\.5 kB +cccccccccccc", text)


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.01234, "+1.23"), (-0.00001, "0.00"), (0.0, "0.00"), (-0.5, "−50.00"), (None, "–"), (float("nan"), "–")],
    )
    def test_percent(self, value: float | None, text: str) -> None:
        assert percent(value) == text

    @pytest.mark.parametrize(("value", "text"), [(0.256, "+0.26"), (-0.3, "−0.30"), (-0.004, "0.00"), (None, "–")])
    def test_decimal(self, value: float | None, text: str) -> None:
        assert decimal(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (7200, "7,200"),
            (-3, "−3"),
            (-1e-9, "−1e-09"),
            (1234567.8, "1,234,568"),
            (False, "no"),
            (None, "–"),
            ("a", "a"),
        ],
    )
    def test_figure(self, value: object, text: str) -> None:
        assert figure(value) == text

    @pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (5_000_000_000, "5.0 GB")])
    def test_size(self, count: int, text: str) -> None:
        assert size(count) == text

    def test_legible_keeps_every_writing(self) -> None:
        assert legible("日本電産 Ñ א 🙂") == "日本電産 Ñ א 🙂"


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "table": "prices",
        "name": "close positive",
        "severity": "quarantine",
        "scope": "window",
        "message": "the price is zero or negative",
        "evaluated": True,
        "success": False,
        "observed": [0.0, -1.5],
        "unexpected_count": 1200,
        **changes,
    }


class TestVerdict:
    def test_a_failed_expectation_says_what_it_means_and_what_was_found(self) -> None:
        (check,) = checks({"expectations": [entry()]})
        finding = "the price is zero or negative; 1,200 rows; such as 0, −1.5"
        assert check == Check("prices", "close positive", "quarantine", "window", False, "! set aside", finding)

    @pytest.mark.parametrize(
        ("changes", "outcome"),
        [
            ({"success": True}, "✓ met"),
            ({"severity": "error"}, "✗ stopped"),
            ({"severity": "warning"}, "! warning"),
            ({"severity": "unheard of"}, "✗ stopped"),
            ({"severity": "error", "success": None}, "✗ stopped"),
        ],
    )
    def test_outcome(self, changes: dict[str, Any], outcome: str) -> None:
        (check,) = checks({"expectations": [entry(**changes)]})
        assert check.outcome == outcome

    def test_what_was_not_evaluated_is_not_met(self) -> None:
        (check,) = checks({"expectations": [entry(evaluated=False, severity="error")]})
        assert not check.passed
        assert check.finding.startswith("not evaluated")

    def test_little_needs_to_be_known(self) -> None:
        (check,) = checks({"expectations": [{"success": False}]})
        assert (check.expectation, check.outcome) == ("unnamed", "✗ stopped")

    @pytest.mark.parametrize("verdict", [{}, {"expectations": [], "quarantined": []}])
    def test_an_empty_verdict_has_no_checks(self, verdict: dict[str, Any]) -> None:
        assert checks(verdict) == ()
        assert quarantines(verdict) == ()

    def test_quarantined_rows_are_counted_by_reason(self) -> None:
        counts = [{"table": "prices", "reason": "close positive", "rows": 1200}]
        assert quarantines({"quarantined": counts}) == (Quarantine("prices", "close positive", 1200),)
