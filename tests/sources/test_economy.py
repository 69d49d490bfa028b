"""The simulated economy: who is listed, what a merger does, what is known when, and whether the premia are there."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import stdev

import numpy as np
import pytest

from deepfactor.config import SimulationConfig
from deepfactor.months import Month, month_range
from deepfactor.sources.accounts import Books, Calendar
from deepfactor.sources.economy import Economy, evolve
from deepfactor.sources.firms import NEVER, found_firms
from deepfactor.sources.premia import PREMIA
from deepfactor.sources.simulated import _calendar
from deepfactor.sources.truth import tell_truth


def calendar(first: str = "1995-12", months: int = 150) -> Calendar:
    start = Month.parse(first)
    return _calendar(SimulationConfig(), list(month_range(start, start + (months - 1))))


def economy_of(stocks: int, form: str = "interactions", months: int = 150, seed: int = 1) -> Economy:
    return evolve(stocks, calendar(months=months), PREMIA[form], np.random.SeedSequence(seed))  # type: ignore[index]


@pytest.fixture(scope="module")
def economy() -> Economy:
    return economy_of(120)


class TestRegression:
    def test_history_in_figures(self, economy: Economy) -> None:
        truth = tell_truth(economy, "interactions")
        assert truth["counts"] == {"firms": 174, "left": 42, "merged": 17}
        assert truth["premia"]["dispersion"] == pytest.approx(0.00514, abs=2e-5)
        assert truth["information_coefficient"] == pytest.approx(
            {
                "realised": 0.0634,
                "ceiling": 0.0581,
                "linear_realised": 0.0416,
                "linear_ceiling": 0.0304,
                "linear_r_squared": 0.274,
            },
            abs=2e-3,
        )

    def test_terms_are_scores_or_products_of_them(self, economy: Economy) -> None:
        assert list(PREMIA) == ["linear", "interactions", "none"]
        assert {name for sizes in PREMIA.values() for term in sizes for name in term.split("_x_")} == set(economy.known)


class TestListing:
    def test_returns_are_those_of_listed_firms(self, economy: Economy) -> None:
        moving = economy.listed[1:] & economy.listed[:-1]
        assert np.isnan(economy.total_return[0]).all()
        assert np.array_equal(~np.isnan(economy.total_return[1:]), moving)
        assert economy.total_return[1:][moving].min() >= -0.9

    def test_a_firm_is_listed_for_a_year_at_least(self, economy: Economy) -> None:
        firms = economy.firms
        assert (firms.exit - firms.entry >= 12).all()
        assert abs(economy.listed.sum(axis=1).mean() - 120) < 2

    def test_a_firm_leaves_with_its_last_return(self, economy: Economy) -> None:
        left = np.flatnonzero(economy.firms.exit != NEVER)
        assert left.size > 20
        last = economy.firms.exit[left]
        assert np.array_equal(economy.total_return[last, left], economy.firms.last_return[left])
        assert (economy.excess[last, left] == 0).all()
        assert not economy.listed[np.minimum(last + 1, 149), left][last < 149].any()

    def test_price_and_dividend_make_the_total_return(self, economy: Economy) -> None:
        moving = economy.listed[1:] & economy.listed[:-1]
        grown = economy.price[1:] / economy.price[:-1] + economy.dividend[1:] - 1
        assert np.allclose(grown[moving], economy.total_return[1:][moving], rtol=0, atol=1e-12)

    def test_the_market_is_weighted_by_the_value_before(self, economy: Economy) -> None:
        for month in (1, 70, 149):
            both = economy.listed[month] & economy.listed[month - 1]
            pairs = list(zip(economy.value(month - 1)[both], economy.total_return[month, both], strict=True))
            expected = math.fsum(value * r for value, r in pairs) / math.fsum(value for value, _ in pairs)
            assert economy.market_return[month] == pytest.approx(expected, rel=1e-9)


class TestMergers:
    def test_the_acquirer_grows_by_the_target(self, economy: Economy) -> None:
        targets = np.flatnonzero(economy.acquirer >= 0)
        assert targets.size > 5
        checked = 0
        for target in targets:
            month, acquirer = economy.firms.exit[target], economy.acquirer[target]
            assert economy.firms.exit[acquirer] > month
            added = economy.shares[month, acquirer] - economy.shares[month - 1, acquirer]
            paid = economy.value(month)[target]
            assert paid < economy.price[month, acquirer] * economy.shares[month - 1, acquirer] / 1.5
            alone = (economy.acquirer == acquirer) & (economy.firms.exit == month)
            if alone.sum() == 1 and (11 + month - economy.firms.fiscal_month[acquirer]) % 12 != 3:
                assert added * economy.price[month, acquirer] == pytest.approx(paid, rel=1e-9)
                checked += 1
        assert checked > 3

    def test_the_books_are_consolidated(self) -> None:
        books = Books.open(found_firms(20, 40, np.random.default_rng(1)), calendar(), np.random.default_rng(2))
        before = _balance(books)
        books.absorb(3, 7, 5e9)
        after = _balance(books)
        assert after["net_assets"][3] == pytest.approx(before["net_assets"][3] + 5e9)
        assert after["debts"][3] == pytest.approx(before["debts"][3] + before["debts"][7])
        # What was paid beyond the target's net assets is goodwill, an asset that sells as the others do.
        turnover = books.firms.sales_to_assets[7]
        target = (before["debts"][7] + 5e9) * turnover
        assert after["sales"][3] == pytest.approx(before["sales"][3] + target)
        untouched = [n for n in range(20) if n != 3]
        assert all(np.array_equal(after[name][untouched], before[name][untouched]) for name in before)


def _balance(books: Books) -> dict[str, np.ndarray]:
    debts = books.book * books.liabilities_to_book
    sales = (books.book + debts) * books.sales_to_assets
    return {"net_assets": books.book.copy(), "debts": debts, "sales": sales}


class TestPointInTime:
    def test_the_signal_follows_from_what_was_announced(self, economy: Economy) -> None:
        """The slow twin sees the reports announced by the month's last session, and prices up to it; nothing else."""
        days = calendar()
        for month in (5, 37, 64, 101, 148):
            assert np.allclose(economy.excess[month], _slow_signal(economy, days, month), rtol=0, atol=2e-8), month

    def test_a_restatement_is_not_known_before_it_is_announced(self, economy: Economy) -> None:
        reports = economy.reports
        assert 0.005 < reports.restated.mean() < 0.04
        original = {
            (f, p): day
            for f, p, day, again in zip(reports.firm, reports.period, reports.announced, reports.restated, strict=True)
            if not again
        }
        again = np.flatnonzero(reports.restated)
        gaps = [reports.announced[n] - original[reports.firm[n], reports.period[n]] for n in again]
        assert min(gaps) >= 58 and max(gaps) <= 302

    def test_figures_are_announced_30_to_60_days_after(self, economy: Economy) -> None:
        reports = economy.reports
        delay = reports.announced - calendar().end(reports.period)
        assert delay[~reports.restated].min() >= 30
        assert delay[~reports.restated].max() <= 60
        usual = [delay[(reports.firm == n) & ~reports.restated].std() for n in range(40)]
        assert np.mean(usual) < delay[~reports.restated].std()


def _slow_signal(economy: Economy, days: Calendar, month: int) -> np.ndarray:
    firms, session = economy.firms, days.sessions[month]
    listed = [n for n in range(firms.entry.size) if firms.entry[n] <= month < firms.exit[n]]
    newest: dict[int, tuple[int, int, float, float]] = {}
    reports = economy.reports
    for n, firm in enumerate(reports.firm):
        if reports.announced[n] <= session:
            book, income = reports.figures["net_assets"][n], reports.figures["net_income"][n]
            entry = (int(reports.period[n]), int(reports.announced[n]), book, income)
            newest[firm] = max(newest.get(firm, entry), entry)
    values: dict[str, dict[int, float]] = {name: {} for name in economy.known}
    for firm in listed:
        market_value = economy.price[month, firm] * economy.shares[month, firm]
        values["value"][firm] = newest[firm][2] / market_value
        values["quality"][firm] = newest[firm][3] / newest[firm][2]
        values["size"][firm] = -market_value
        past = [economy.total_return[m, firm] for m in range(max(0, month - 59), month + 1)]
        known = [r for r in past if not math.isnan(r)]
        if len(known) >= 36:
            values["low_risk"][firm] = -stdev(known)
        year = [economy.total_return[m, firm] for m in range(month - 11, month)]
        if month >= 11 and not any(math.isnan(r) for r in year):
            values["momentum"][firm] = math.prod(1 + r for r in year)
    scores = {name: _ranked(each) for name, each in values.items()}
    result = np.zeros(firms.entry.size)
    for firm in listed:
        for term, premium in PREMIA["interactions"].items():
            result[firm] += premium * math.prod(scores[name].get(firm, 0.0) for name in term.split("_x_"))
    mean = math.fsum(result[listed]) / len(listed)
    result[listed] -= mean
    return result


def _ranked(values: dict[int, float]) -> dict[int, float]:
    order = sorted(values, key=lambda firm: (values[firm], firm))
    centred = {firm: place - (len(order) - 1) / 2 for place, firm in enumerate(order)}
    if len(order) < 2:
        return {}
    scale = math.sqrt(math.fsum(c * c for c in centred.values()) / len(order))
    return {firm: c / scale for firm, c in centred.items()}


class TestPremia:
    def test_none_means_none(self) -> None:
        economy = economy_of(40, "none")
        assert (economy.excess == 0).all()
        truth = tell_truth(economy, "none")
        assert set(truth["information_coefficient"].values()) == {0.0}
        assert truth["premia"]["sizes"] == {}

    @pytest.mark.parametrize("form", ["linear", "interactions"])
    def test_a_regression_on_the_terms_finds_the_sizes(self, form: str) -> None:
        """Month by month, least squares of the next return on the terms; the mean coefficient is the premium."""
        economy = economy_of(400, form, months=200)
        sizes = PREMIA[form]  # type: ignore[index]
        found = []
        for month in range(60, 199):
            at = ~np.isnan(economy.total_return[month + 1]) & (economy.firms.exit != month + 1)
            known = {name: score[month, at] for name, score in economy.known.items()}
            terms = [np.prod([known[name] for name in term.split("_x_")], axis=0) for term in sizes]
            design = np.column_stack([np.ones(at.sum()), *terms])
            found.append(np.linalg.lstsq(design, economy.total_return[month + 1, at], rcond=None)[0][1:])
        mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(len(found))
        assert np.all(np.abs(mean - list(sizes.values())) < 4 * error)
        assert np.sum(np.abs(mean) > 2 * error) >= 3

    def test_a_linear_model_sees_all_of_one_form_and_a_part_of_the_other(self, economy: Economy) -> None:
        linear = tell_truth(economy_of(120, "linear"), "linear")["information_coefficient"]
        both = tell_truth(economy, "interactions")["information_coefficient"]
        assert linear["linear_r_squared"] > 0.99
        assert 0.1 < both["linear_r_squared"] < 0.5
        assert both["linear_ceiling"] < 0.75 * both["ceiling"]

    def test_chance_is_the_same_whatever_is_planted(self, economy: Economy) -> None:
        other = economy_of(120, "none")
        assert np.array_equal(other.firms.exit, economy.firms.exit)
        at = ~np.isnan(economy.total_return[1])
        difference = economy.total_return[1, at] - other.total_return[1, at] - economy.excess[0, at]
        # The clipped ends of the distribution aside.
        assert np.median(np.abs(difference)) < 2e-6


def test_quarterly_accounts_begin_when_asked() -> None:
    annual = replace(calendar(), quarterly_from=10_000)
    economy = evolve(30, annual, {}, np.random.SeedSequence(1))
    assert ((11 + economy.reports.period - economy.firms.fiscal_month[economy.reports.firm]) % 12 == 0).all()
    at_once = replace(calendar(), quarterly_from=-100)
    more = evolve(30, at_once, {}, np.random.SeedSequence(1))
    assert more.reports.firm.size > 3.4 * economy.reports.firm.size
