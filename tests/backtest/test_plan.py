from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.backtest.plan import chosen_months, describing, months_with_returns, narrowed, sources_of_returns
from deepfactor.config import load_config
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, Window, month_range

PAPER = list(month_range(Month.parse("2006-03"), Month.parse("2016-02")))

some_months = st.lists(st.integers(0, 400).map(lambda each: PAPER[0] + each), min_size=1, max_size=12, unique=True)


def _months(*texts: str) -> list[Month]:
    return [Month.parse(text) for text in texts]


class TestMonths:
    def test_a_span(self) -> None:
        assert chosen_months(PAPER[0], PAPER[-1]) == tuple(PAPER)
        assert chosen_months(PAPER[0], PAPER[0]) == (PAPER[0],)

    def test_some_of_a_span_or_without_one(self) -> None:
        some = _months("2010-01", "2006-03", "2010-01")
        assert chosen_months(PAPER[0], PAPER[-1], some) == tuple(_months("2006-03", "2010-01"))
        assert chosen_months(None, None, some) == tuple(_months("2006-03", "2010-01"))

    def test_what_is_no_span(self) -> None:
        with pytest.raises(ConfigurationError, match="--from 2016-02 comes after --to 2006-03: turn them around"):
            chosen_months(PAPER[-1], PAPER[0])
        with pytest.raises(ConfigurationError, match=r"--months 2005-01,2017-01 lies outside 2006-03 … 2016-02"):
            chosen_months(PAPER[0], PAPER[-1], _months("2017-01", "2010-01", "2005-01"))

    @pytest.mark.parametrize(
        ("first", "last", "months"), [(None, None, []), (PAPER[0], None, []), (None, PAPER[0], [PAPER[0]])]
    )
    def test_half_a_span(self, first: Month | None, last: Month | None, months: list[Month]) -> None:
        with pytest.raises(ConfigurationError, match="say which months: --from and --to, or --months"):
            chosen_months(first, last, months)


class TestNarrowed:
    CONFIG = load_config()

    def test_nothing_is_the_same_run(self) -> None:
        assert narrowed(self.CONFIG) == self.CONFIG
        assert narrowed(self.CONFIG, models=sorted(self.CONFIG.models)).digest() == self.CONFIG.digest()

    def test_each_is_another_run(self) -> None:
        changed = [
            narrowed(self.CONFIG, models=["linear"]),
            narrowed(self.CONFIG, stocks=500),
            narrowed(self.CONFIG, members=1),
        ]
        assert len({each.digest() for each in (self.CONFIG, *changed)}) == 4
        assert changed[1].universe.size == 500
        assert changed[2].training.members == 1

    @pytest.mark.parametrize(
        ("models", "kept", "signal_model"),
        [
            (["linear", "dfm1"], ("dfm1", "linear"), "dfm1"),
            (["linear", "dfm2"], ("dfm2", "linear"), "dfm2"),
            (["svr", "linear"], ("linear", "svr"), "linear"),
            (["forest", "svr"], ("svr", "forest"), "svr"),
        ],
    )
    def test_models_in_the_configurations_order(
        self, models: list[str], kept: tuple[str, ...], signal_model: str
    ) -> None:
        config = narrowed(self.CONFIG, models=models)
        assert (config.models, config.signal_model) == (kept, signal_model)

    def test_an_unknown_model(self) -> None:
        with pytest.raises(ConfigurationError, match="--models: there is no dfm3; choose from dfm1, dfm2, linear, svr"):
            narrowed(self.CONFIG, models=["dfm1", "dfm3"])


class TestReturns:
    def test_of_the_paper(self) -> None:
        """Two runs hold the returns of ten years; only the month after the last is not among them already."""
        assert months_with_returns(PAPER) == (PAPER[-1] + 1,)
        sources = sources_of_returns(PAPER, [*PAPER, PAPER[-1] + 1])
        assert set(sources) == set(PAPER)
        assert sorted(set(sources.values())) == _months("2010-02", "2016-03")

    def test_months_far_apart_need_one_each(self) -> None:
        months = _months("2006-03", "2006-05", "2015-01")
        assert months_with_returns(months) == tuple(_months("2006-06", "2015-02"))

    def test_the_newest_return_is_not_there_yet(self) -> None:
        sources = sources_of_returns(PAPER, PAPER)
        assert PAPER[-1] not in sources
        assert len(sources) == len(PAPER) - 1

    @given(some_months)
    def test_every_return_is_in_a_window(self, months: list[Month]) -> None:
        described = {*months, *months_with_returns(months)}
        sources = sources_of_returns(months, described)
        assert set(sources) == set(months)
        for month, source in sources.items():
            assert source in described
            assert month + 1 in Window(source).described

    @given(some_months, some_months)
    def test_a_return_that_some_run_holds_is_found(self, months: list[Month], described: list[Month]) -> None:
        sources = sources_of_returns(months, described)
        for month in months:
            holding = [each for each in described if month + 1 in Window(each).described]
            assert describing(month + 1, described) == min(holding, default=None)
            assert (month in sources) == bool(holding)
