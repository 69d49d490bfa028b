"""Table 5 against its definition, by counting."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.attribution.correlations import correlations_table
from deepfactor.attribution.tables import Explained, shares_table
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.features import FEATURES
from deepfactor.schemas import CORRELATIONS, FACTORS
from tests.attribution.made import random_month


def spearman(x: list[float], y: list[float]) -> float:
    """Pearson's correlation of ranks; a rank is one more than how many are smaller, and half of how many are equal."""

    def deviations(values: list[float]) -> list[float]:
        ranks = [sum(b < a for b in values) + sum(b == a for b in values) / 2 for a in values]
        return [rank - sum(ranks) / len(ranks) for rank in ranks]

    a, b = deviations(x), deviations(y)
    return sum(p * q for p, q in zip(a, b, strict=True)) / sqrt(sum(p * p for p in a) * sum(q * q for q in b))


def kendall(x: list[float], y: list[float]) -> float:
    """τ-b: concordant less discordant pairs, over the geometric mean of the pairs that are no ties."""
    pairs = [(i, j) for j in range(len(x)) for i in range(j)]
    signs = [(np.sign(x[j] - x[i]), np.sign(y[j] - y[i])) for i, j in pairs]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return sum(a * b for a, b in signs) / sqrt(untied[0] * untied[1])


def by_counting(month: Explained) -> dict[str, tuple[float | None, float | None]]:
    stocks = len(month.samples.security_ids)
    top = sorted(range(stocks), key=lambda stock: -month.account.prediction[stock])[: -(-stocks // 5)]
    found = {}
    for factor in FACTORS:
        rho, tau = [], []
        for name in NAMES:
            column = FEATURES.index(f"{name}@0")
            chosen = [stock for stock in top if month.samples.known[stock, column]]
            x = [float(month.samples.inputs[stock, column]) for stock in chosen]
            y = [float(month.account.prediction[stock]) for stock in chosen]
            if FACTOR_OF[name] == factor and len(chosen) >= 3 and len(set(x)) > 1:
                rho.append(spearman(x, y))
                tau.append(kendall(x, y))
        found[factor] = (sum(rho) / len(rho), sum(tau) / len(tau)) if rho else (None, None)
    return found


def compare(month: Explained) -> None:
    table, expected = correlations_table(month), by_counting(month)
    for row in table.iter_rows(named=True):
        rho, tau = expected[row["factor"]]
        assert row["spearman"] == (rho if rho is None else pytest.approx(rho, abs=1e-12))
        assert row["kendall"] == (tau if tau is None else pytest.approx(tau, abs=1e-12))


def changed(month: Explained, descriptor: str, **values: object) -> Explained:
    """Return the month with another input or knowledge of a descriptor at the as-of month, of all stocks."""
    column = FEATURES.index(f"{descriptor}@0")
    arrays = {name: getattr(month.samples, name).copy() for name in values}
    for name, value in values.items():
        arrays[name][:, column] = value
    return replace(month, samples=replace(month.samples, **arrays))


def value_of(table: pl.DataFrame, factor: str, column: str) -> float | None:
    found: float | None = table.filter(factor=factor)[column].item()
    return found


@settings(max_examples=15, deadline=None)
@given(stocks=st.integers(1, 90), seed=st.integers(0, 10_000), digits=st.integers(0, 2))
def test_against_counting(stocks: int, seed: int, digits: int) -> None:
    month = random_month(stocks, seed, members=1)
    # Fewer digits, more ties; with none there are three values.
    samples = replace(month.samples, inputs=np.round(month.samples.inputs, digits))
    compare(replace(month, samples=samples))


@pytest.fixture(scope="module")
def month() -> Explained:
    return random_month(110, 6)


def test_a_row_for_each_factor(month: Explained) -> None:
    table = correlations_table(month)
    assert CORRELATIONS.check(table, "").equals(table)
    assert sorted(table["factor"]) == sorted(FACTORS)
    assert table.select(pl.col("spearman", "kendall").abs().max()).row(0) <= (1.0, 1.0)


def test_shares_stand_beside_them(month: Explained) -> None:
    shares = shares_table(month).filter(group="top quintile").sort("factor")
    assert correlations_table(month)["share"].to_list() == shares["share"].to_list()


def test_what_is_not_known_has_no_part(month: Explained) -> None:
    known = month.rank % 3 > 0
    partly = changed(month, "ROE", known=known)
    table = correlations_table(partly)
    compare(partly)
    other = changed(partly, "ROE", inputs=np.where(known, month.samples.inputs[:, FEATURES.index("ROE@0")], 0.5))
    assert correlations_table(other).equals(table)
    assert not correlations_table(changed(other, "ROE", known=True)).equals(table)


def test_a_descriptor_without_a_correlation_is_left_out_of_the_mean(month: Explained) -> None:
    """The same for all stocks, or known of too few."""
    illiquid = month.rank <= 2
    for other in (changed(month, "CAP", inputs=0.25), changed(month, "CAP", known=illiquid)):
        compare(other)
        alone = changed(month, "CAP", known=False)
        for column in ("spearman", "kendall"):
            assert value_of(correlations_table(other), "Size", column) == value_of(
                correlations_table(alone), "Size", column
            )


def test_nothing_known_is_null(month: Explained) -> None:
    blind = changed(changed(month, "CAP", known=False), "ILLIQ", inputs=0.0)
    table = correlations_table(blind)
    for column in ("spearman", "kendall"):
        assert value_of(table, "Size", column) is None
        assert table[column].null_count() == 1
    assert value_of(table, "Size", "share") is not None


@pytest.mark.parametrize("stocks", [1, 4, 10])
def test_two_stocks_in_the_top_quintile_have_no_correlation(stocks: int) -> None:
    table = correlations_table(random_month(stocks, 1))
    assert table["spearman"].null_count() == table["kendall"].null_count() == 5


def test_predictions_that_are_all_the_same(month: Explained) -> None:
    same = replace(month.account, member_prediction=np.full_like(month.account.member_prediction, 0.01))
    table = correlations_table(replace(month, account=same))
    assert table["spearman"].null_count() == table["kendall"].null_count() == 5


def test_a_descriptor_that_is_the_prediction() -> None:
    month = random_month(50, 3)
    ordered = np.argsort(np.argsort(month.account.prediction)) / 49 - 0.5
    same = changed(changed(month, "CAP", inputs=ordered, known=True), "ILLIQ", inputs=-ordered, known=True)
    assert value_of(correlations_table(changed(same, "ILLIQ", known=False)), "Size", "spearman") == pytest.approx(1.0)
    assert value_of(correlations_table(same), "Size", "kendall") == pytest.approx(0.0, abs=1e-15)
