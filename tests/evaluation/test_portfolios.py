from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor import portfolio
from deepfactor.evaluation.portfolios import (
    BOTTOM,
    LONG_SHORT,
    PORTFOLIO_RETURNS,
    QUINTILE_NAMES,
    TOP,
    portfolio_returns,
    ranked,
)
from tests.evaluation.frames import by_month, forecasts, month, random_forecasts

_TEN = {
    "a": (0.10, 0.03), "b": (0.09, 0.05), "c": (0.08, 0.02), "d": (0.07, 0.04), "e": (0.06, 0.00),
    "f": (0.05, 0.01), "g": (0.04, 0.02), "h": (0.03, -0.02), "i": (0.02, -0.01), "j": (0.01, -0.03),
}  # fmt: skip


def _rows(frame: pl.DataFrame, missing_return: float = 0.0) -> dict[str, tuple[Any, ...]]:
    table = portfolio_returns(frame, missing_return)
    return {
        row["portfolio"]: (row["portfolio_return"], row["stocks"], row["without_return"]) for row in table.to_dicts()
    }


def test_names_are_those_of_the_accounts() -> None:
    assert (*QUINTILE_NAMES, LONG_SHORT) == portfolio.quintile_portfolios(np.arange(1, 6))[0]
    assert (TOP, BOTTOM) == ("top quintile", "bottom quintile")


class TestReturns:
    def test_by_hand(self) -> None:
        found = _rows(forecasts(0, "m", _TEN))
        assert found == {
            "top quintile": (pytest.approx(0.04), 2, 0),
            "quintile 4": (pytest.approx(0.03), 2, 0),
            "quintile 3": (pytest.approx(0.005), 2, 0),
            "quintile 2": (pytest.approx(0.0), 2, 0),
            "bottom quintile": (pytest.approx(-0.02), 2, 0),
            "long-short": (pytest.approx(0.06), 4, 0),
        }

    def test_a_delisted_stock_keeps_its_weight(self) -> None:
        delisted = forecasts(0, "m", _TEN | {"b": (0.09, None), "i": (0.02, None), "j": (0.01, None)})
        found = _rows(delisted)
        assert found["top quintile"] == (pytest.approx(0.015), 2, 1)
        assert found["bottom quintile"] == (0.0, 2, 2)
        assert found["long-short"] == (pytest.approx(0.015), 4, 3)
        found = _rows(delisted, -0.3)
        assert found["top quintile"][0] == pytest.approx((0.03 - 0.3) / 2)
        assert found["long-short"][0] == pytest.approx((0.03 - 0.3) / 2 + 0.3)

    def test_one_stock_in_a_quintile(self) -> None:
        found = _rows(forecasts(0, "m", {name: _TEN[name] for name in "abcde"}))
        assert found["quintile 3"] == (0.02, 1, 0)
        assert found["long-short"] == (pytest.approx(0.03), 2, 0)

    def test_fewer_stocks_than_quintiles(self) -> None:
        found = _rows(forecasts(0, "m", {name: _TEN[name] for name in "abcd"}))
        assert list(found) == ["quintile 2", "quintile 3", "quintile 4", "top quintile"]

    def test_no_quintiles_and_no_month(self) -> None:
        frame = forecasts(0, "m", _TEN)
        assert portfolio_returns(frame.with_columns(quintile=pl.lit(None, dtype=pl.Int64))).equals(
            PORTFOLIO_RETURNS.empty()
        )
        assert portfolio_returns(frame.clear()).equals(PORTFOLIO_RETURNS.empty())
        assert portfolio_returns(frame.with_columns(realised=pl.lit(None, dtype=pl.Float64))).is_empty()

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, -0.3, -1.0]))
    def test_against_loops(self, seed: int, missing_return: float) -> None:
        frame = random_forecasts(seed)
        expected = {}
        for model, months in by_month(frame).items():
            for each, rows in months.items():
                legs = {}
                for number, name in zip((5, 4, 3, 2, 1), QUINTILE_NAMES, strict=True):
                    held = [row["realised"] for row in rows if row["quintile"] == number]
                    if held:
                        value = sum(missing_return if one is None else one for one in held) / len(held)
                        legs[name] = (value, len(held), held.count(None))
                if TOP in legs and BOTTOM in legs:
                    (up, *of_top), (down, *of_bottom) = legs[TOP], legs[BOTTOM]
                    legs[LONG_SHORT] = (up - down, *np.add(of_top, of_bottom).tolist())
                expected |= {(each, model, name): leg for name, leg in legs.items()}
        table = portfolio_returns(frame, missing_return)
        found = {row[:3]: row[3:] for row in table.rows()}
        assert found.keys() == expected.keys()
        for key, (value, *counts) in expected.items():
            assert found[key][0] == pytest.approx(value, abs=1e-12)
            assert list(found[key][1:]) == counts
        assert table.equals(portfolio_returns(frame.sort("security_id"), missing_return))

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_weights_do_not_look_ahead(self, seed: int) -> None:
        """Whoever is delisted, the portfolios hold the same stocks."""
        frame = random_forecasts(seed)
        random = np.random.default_rng(seed)
        other = frame.with_columns(
            realised=pl.when(pl.Series(random.random(frame.height) < 0.9) | pl.col("realised").is_null()).then(
                "realised"
            )
        )
        kept = other.filter(pl.col("realised").is_not_null().any().over("month"))["month"].unique().implode()
        one, two = (portfolio_returns(each).filter(pl.col("month").is_in(kept)) for each in (frame, other))
        assert one.drop("portfolio_return", "without_return").equals(two.drop("portfolio_return", "without_return"))


class TestRanked:
    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 6))
    def test_against_the_months_own_ranks(self, seed: int, stocks: int, values: int) -> None:
        random = np.random.default_rng(seed)
        names = np.array([f"{number:02}" for number in range(stocks)])
        # Zero of either sign is one value.
        choice = np.array([0.0, -0.0, 0.1, 0.2, -0.1, 0.3])[:values]
        predictions = {model: random.choice(choice, stocks) for model in ("one", "two")}
        frame = pl.concat(
            [
                pl.DataFrame({"security_id": names, "prediction": each}).with_columns(
                    month=pl.lit(month(0)), model=pl.lit(model)
                )
                for model, each in predictions.items()
            ]
        )
        found = ranked(frame.sample(fraction=1.0, shuffle=True, seed=seed % 1000))
        for model, each in predictions.items():
            of_model = found.filter(model=model).sort("security_id")
            if np.ptp(each) == 0:
                assert of_model["rank"].null_count() == of_model["quintile"].null_count() == stocks
            else:
                rank = portfolio.ranks(each, names)
                assert of_model["rank"].to_list() == rank.tolist()
                assert of_model["quintile"].to_list() == portfolio.quintiles(rank).tolist()
