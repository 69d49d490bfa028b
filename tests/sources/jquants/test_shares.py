"""Shares between statements and splits."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from deepfactor.sources.jquants.shares import share_counts, shares_outstanding

# (period end, disclosed, shares), and a split of one into two.
BEFORE = ("2014-12-31", "2015-02-10", 100.0)
EX = date(2015, 3, 27)


def _shares(
    *counts: tuple[str, str, float], ex: date = EX, factor: float = 0.5, day: date = date(2015, 6, 30)
) -> float:
    frame = pl.DataFrame(
        [
            {"Code": "1", "DiscNo": str(number), "period_end": date.fromisoformat(end), "shares": shares}
            | {"disclosed": date.fromisoformat(disclosed), "available_from": date.fromisoformat(disclosed)}
            for number, (end, disclosed, shares) in enumerate(counts)
        ]
    )
    splits = pl.DataFrame({"Code": ["1", "2"], "AdjFactor": [factor, 0.1], "ExDate": [ex, ex]})
    prices = pl.DataFrame({"Code": ["1", "3"], "day": [day, day]})
    result = shares_outstanding(frame.sort("period_end", "disclosed", "DiscNo"), splits, prices)
    assert result["Code"].to_list() == ["1"]
    return float(result["shares_outstanding"][0])


class TestRegression:
    def test_a_split_after_the_disclosure_is_added(self) -> None:
        assert _shares(BEFORE) == 200.0

    def test_a_split_after_the_price_is_not(self) -> None:
        assert _shares(BEFORE, day=date(2015, 3, 26)) == 100.0
        assert _shares(BEFORE, day=EX) == 200.0

    def test_a_split_in_effect_at_the_periods_end_is_contained(self) -> None:
        # Even if the count has halved since: the company may have bought back.
        assert _shares(BEFORE, ("2015-06-30", "2015-08-10", 105.0)) == 105.0

    @pytest.mark.parametrize(("reported", "there"), [(100.0, 200.0), (98.0, 196.0), (200.0, 200.0), (190.0, 190.0)])
    def test_around_the_ex_date_the_count_before_decides(self, reported: float, there: float) -> None:
        assert _shares(BEFORE, ("2015-03-31", "2015-05-10", reported)) == there
        # Effective before the disclosure only: companies restate it or not.
        assert _shares(BEFORE, ("2015-03-31", "2015-05-10", reported), ex=date(2015, 4, 27)) == there

    def test_a_merger_of_shares(self) -> None:
        assert _shares(BEFORE, ("2015-03-31", "2015-05-10", 100.0), factor=10.0) == 10.0
        assert _shares(BEFORE, ("2015-03-31", "2015-05-10", 10.0), factor=10.0) == 10.0

    def test_without_a_count_before_the_periods_end_decides(self) -> None:
        assert _shares(("2015-03-31", "2015-05-10", 100.0)) == 100.0
        assert _shares(("2015-03-26", "2015-05-10", 100.0)) == 200.0

    def test_the_newest_period_counts_and_of_that_the_newest_publication(self) -> None:
        late = ("2014-09-30", "2015-04-01", 999.0)
        corrected = ("2014-12-31", "2015-03-02", 110.0)
        assert _shares(BEFORE, corrected, late) == 220.0

    def test_issued_less_treasury(self) -> None:
        columns = ("Code", "DiscNo", "available_from", "CurPerEn", "DiscDate")
        rows = [dict.fromkeys(columns, "x") | {"ShOutFY": out, "TrShFY": own} for out, own in _COUNTS]
        frame = pl.DataFrame(rows, schema_overrides={"ShOutFY": pl.Float64, "TrShFY": pl.Float64})
        assert share_counts(frame)["shares"].to_list() == [90.0, 100.0]


_COUNTS = [(100.0, 10.0), (100.0, None), (None, 10.0), (10.0, 10.0)]
