import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import SchemaError
from deepfactor.months import Month
from deepfactor.reports.shares_over_time import SharesOverTime, shares_over_time
from deepfactor.schemas import FACTORS, SHARES

FIRST = Month.parse("2006-03")


def _shares(months: Sequence[int], dispersion: float = 0.01, group: str = "top quintile") -> pl.DataFrame:
    random = np.random.default_rng(3)
    frames = [SHARES.empty()]
    for month in months:
        key: dict[str, Any] = {"month": (FIRST + month).first_day, "model": "dfm2", "group": group, "factor": FACTORS}
        share = random.dirichlet(np.ones(5) * 8).round(4)
        frames.append(
            pl.DataFrame({**key, "share": share, "dispersion": dispersion, "disputed": False}, schema=SHARES.columns)
        )
    return pl.concat(frames)


def _points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


class TestRegression:
    def test_frozen(self) -> None:
        drawn = shares_over_time(_shares([0, 1, 3]), "dfm2", "top quintile")
        strip = drawn.strips[0]
        assert strip.factor == "Risk"
        assert strip.line == "M135.5 10.32L198.5 30.14M321.5 34.48L327.5 34.48"
        assert strip.newest == "17.0 ± 1.0"
        assert [(tick.position, tick.label) for tick in drawn.months] == [
            (135.5, "2006-03"),
            (198.5, "2006-04"),
            (261.5, "2006-05"),
            (324.5, "2006-06"),
        ]
        assert drawn.description.startswith(
            "Risk: 17.0 ± 1.0 percent in 2006-06, between 17.0 and 38.0 since 2006-03. Quality: 20.4"
        )

    def test_ten_years_are_labelled_by_year(self) -> None:
        drawn = shares_over_time(_shares(range(120)), "dfm2", "top quintile")
        assert [tick.label for tick in drawn.months] == ["2008", "2010", "2012", "2014", "2016"]


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, 150), min_size=1, max_size=12, unique=True), st.sampled_from([0.0, 0.02, 0.9]))
    def test_every_month_stands_in_its_place_on_one_scale(self, months: list[int], dispersion: float) -> None:
        frame = _shares(months, dispersion)
        drawn = shares_over_time(frame, "dfm2", "top quintile")
        assert [strip.factor for strip in drawn.strips] == list(FACTORS)
        unit = SharesOverTime.PLOT / (max(months) - min(months) + 1)
        heights = []
        for strip in drawn.strips:
            share = dict(
                zip(sorted(months), frame.filter(factor=strip.factor).sort("month")["share"].to_list(), strict=True)
            )
            top, bottom = strip.ticks[1].position, strip.base
            heights.append(round(bottom - top, 6))
            highest = float(strip.ticks[1].label) / 100
            points = _points(strip.line)
            for month, value in share.items():
                x = SharesOverTime.LEFT + (month - min(months) + 0.5) * unit
                y = bottom - value / highest * (bottom - top)
                assert any(abs(x - one) < 3.02 and abs(y - other) < 0.02 for one, other in points)
            for _, y in (*points, *_points(strip.band), *_points(strip.area)):
                assert top - 0.01 <= y <= bottom + 0.01
        assert set(heights) == {SharesOverTime.STRIP}

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True))
    def test_a_missing_month_breaks_the_line(self, months: list[int]) -> None:
        drawn = shares_over_time(_shares(months), "dfm2", "top quintile")
        runs = sum(month - 1 not in months for month in months)
        for strip in drawn.strips:
            assert strip.line.count("M") == strip.band.count("Z") == strip.area.count("Z") == runs

    def test_order_of_rows_does_not_matter(self) -> None:
        frame = _shares([4, 1, 2])
        shuffled = frame.sample(fraction=1, shuffle=True, seed=2)
        assert shares_over_time(shuffled, "dfm2", "top quintile") == shares_over_time(frame, "dfm2", "top quintile")

    def test_other_groups_are_left_out(self) -> None:
        both = pl.concat([_shares([0, 1]), _shares([0, 1, 2], group="long-short")])
        assert shares_over_time(both, "dfm2", "top quintile") == shares_over_time(
            _shares([0, 1]), "dfm2", "top quintile"
        )


class TestValidation:
    def test_without_shares(self) -> None:
        with pytest.raises(SchemaError, match="shares of svr, top quintile: there are none"):
            shares_over_time(_shares([0]), "svr", "top quintile")

    def test_a_month_twice(self) -> None:
        with pytest.raises(SchemaError, match="a month stands twice"):
            shares_over_time(pl.concat([_shares([0]), _shares([0])]), "dfm2", "top quintile")
