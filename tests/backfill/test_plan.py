from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.backfill.errors import BackfillError
from deepfactor.backfill.plan import Behaviour, MonthStatus, Reprocess, chosen_span, stretches
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month

FIRST = Month.parse("2015-10")
STATES = (None, "queued", "running", "success", "failed")
REPROCESS: tuple[Reprocess, ...] = ("none", "failed", "all")


def statuses(*known: tuple[str | None, bool | None]) -> list[MonthStatus]:
    return [
        MonthStatus(FIRST + index, None if state is None else f"run-{index}", state, published)
        for index, (state, published) in enumerate(known)
    ]


def spans(found: list[MonthStatus], reprocess: Reprocess) -> list[tuple[str, str, str]]:
    return [(str(each.first), str(each.last), each.behaviour.word) for each in stretches(found, reprocess)]


def test_what_was_never_run_is_one_backfill() -> None:
    assert spans(statuses((None, False), (None, False), (None, None)), "none") == [("2015-10", "2015-12", "none")]


def test_published_months_without_a_run_are_left_out() -> None:
    found = statuses((None, False), (None, True), (None, False), (None, False))
    assert spans(found, "none") == [("2015-10", "2015-10", "none"), ("2015-12", "2016-01", "none")]
    assert spans(found, "all") == [("2015-10", "2016-01", "none")]


def test_months_that_airflow_leaves_alone_by_itself_split_nothing() -> None:
    found = statuses((None, False), ("success", True), ("failed", False), ("running", False), (None, False))
    assert spans(found, "none") == [("2015-10", "2016-02", "none")]
    assert spans(found, "failed") == [("2015-10", "2016-02", "failed")]
    assert spans(found, "all") == [("2015-10", "2016-02", "completed")]


def test_a_month_that_is_published_though_its_run_failed_stays_as_it_is() -> None:
    found = statuses(("failed", False), ("failed", True), ("failed", False))
    assert spans(found, "none") == []
    assert spans(found, "failed") == [("2015-10", "2015-10", "failed"), ("2015-12", "2015-12", "failed")]


def test_a_lost_manifest_is_made_again() -> None:
    found = statuses(("success", True), ("success", False), ("success", True))
    assert spans(found, "none") == [("2015-11", "2015-11", "completed")]
    # Where the store is not known, Airflow's word counts.
    assert spans(statuses(("success", None), ("failed", None), (None, None)), "none") == [
        ("2015-12", "2015-12", "none")
    ]


@pytest.mark.parametrize("reprocess", REPROCESS)
@settings(deadline=None)
@given(known=st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from((None, True, False))), max_size=7))
def test_exactly_the_wanted_months_run_in_the_fewest_backfills(
    reprocess: Reprocess, known: list[tuple[str | None, bool | None]]
) -> None:
    found = statuses(*known)
    planned = stretches(found, reprocess)
    wanted = [each.month for each in found if each.is_wanted(reprocess)]
    ran = [
        each.month
        for stretch in planned
        for each in found
        if stretch.first <= each.month <= stretch.last and each.would_run(stretch.behaviour)
    ]
    assert ran == wanted
    assert [month for stretch in planned for month in stretch.months] == wanted
    assert len(planned) == fewest(found, reprocess)


def fewest(found: list[MonthStatus], reprocess: Reprocess) -> int:
    """Return the least number of spans, by trying all."""
    if not any(each.is_wanted(reprocess) for each in found):
        return 0
    return min(
        1 + fewest(found[end:], reprocess)
        for end in range(1, len(found) + 1)
        if any(
            [each.is_wanted(reprocess) for each in found[start:end]]
            == [each.would_run(behaviour) for each in found[start:end]]
            and not any(each.is_wanted(reprocess) for each in found[:start])
            for behaviour in Behaviour
            for start in range(end)
        )
    )


def test_a_span_that_is_none() -> None:
    assert chosen_span("2016-02", "2016-02") == (Month.parse("2016-02"),)
    with pytest.raises(BackfillError, match="--from 2016-02 comes after --to 2015-12: turn them around"):
        chosen_span("2016-02", "2015-12")
    with pytest.raises(ConfigurationError, match="'2016-13' is not a month"):
        chosen_span("2016-02", "2016-13")
