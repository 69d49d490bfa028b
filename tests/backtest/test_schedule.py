from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.backtest.schedule import FINISH, NEEDS, PREPARE, Pace, Schedule, Task
from deepfactor.backtest.steps import steps_of
from deepfactor.models.names import MODELS
from deepfactor.months import Month

JANUARY = Month.parse("2010-01")


def _started(schedule: Schedule) -> list[Task]:
    started = []
    while (task := schedule.start()) is not None:
        started.append(task)
    return started


def test_every_model_has_a_need() -> None:
    assert set(NEEDS) == {PREPARE, FINISH, *(f"train-{model}" for model in MODELS)}


def test_steps_of_the_tasks() -> None:
    assert [step for kind in (PREPARE, "train-svr", FINISH) for step in steps_of(kind)] == [
        "validate",
        "describe",
        "train-svr",
        "attribute",
        "bless",
    ]


def test_a_month_one_task_after_the_other() -> None:
    schedule = Schedule(["dfm1", "linear"], workers=1, memory=0.1)
    schedule.begin(JANUARY)
    order = []
    while started := _started(schedule):
        assert len(started) == 1
        order.append(started[0].kind)
        assert schedule.unfinished == {JANUARY}
        schedule.done(started[0])
    assert order == [PREPARE, "train-dfm1", "train-linear", FINISH]
    assert schedule.unfinished == set()


def test_models_and_months_beside_each_other_the_older_first() -> None:
    schedule = Schedule(["dfm1", "linear"], workers=3, memory=100)
    for offset in (0, 1, 2):
        schedule.begin(JANUARY + offset)
    assert [task.month for task in _started(schedule)] == [JANUARY, JANUARY + 1, JANUARY + 2]
    schedule.done(Task(JANUARY + 2, PREPARE))
    assert _started(schedule) == [Task(JANUARY + 2, "train-dfm1")]
    schedule.done(Task(JANUARY, PREPARE))
    assert _started(schedule) == [Task(JANUARY, "train-dfm1")]


def test_what_does_not_fit_waits_and_what_fits_goes_before() -> None:
    schedule = Schedule(["svr", "linear"], workers=3, memory=7.8)
    schedule.begin(JANUARY)
    schedule.begin(JANUARY + 1)
    assert _started(schedule) == [Task(JANUARY, PREPARE), Task(JANUARY + 1, PREPARE)]
    schedule.done(Task(JANUARY, PREPARE))
    assert _started(schedule) == [Task(JANUARY, "train-linear")]
    schedule.done(Task(JANUARY, "train-linear"))
    schedule.done(Task(JANUARY + 1, PREPARE))
    assert _started(schedule) == [Task(JANUARY, "train-svr")]


def test_one_that_alone_needs_more_runs_alone() -> None:
    schedule = Schedule(["svr"], workers=4, memory=1)
    schedule.begin(JANUARY)
    schedule.begin(JANUARY + 1)
    assert len(_started(schedule)) == 1


def test_a_failure_drops_what_waits_of_its_month_alone() -> None:
    schedule = Schedule(["dfm1", "linear"], workers=3, memory=100)
    schedule.begin(JANUARY)
    schedule.begin(JANUARY + 1)
    assert len(_started(schedule)) == 2
    schedule.done(Task(JANUARY, PREPARE))
    assert _started(schedule) == [Task(JANUARY, "train-dfm1"), Task(JANUARY, "train-linear")][:2]
    schedule.failed(Task(JANUARY, "train-dfm1"))
    assert schedule.unfinished == {JANUARY, JANUARY + 1}
    schedule.done(Task(JANUARY, "train-linear"))
    assert schedule.unfinished == {JANUARY + 1}
    assert _started(schedule) == []


def test_only_as_many_months_as_keep_the_workers_busy() -> None:
    schedule = Schedule(["linear"], workers=2, memory=100)
    months = 0
    while schedule.wants_month():
        schedule.begin(JANUARY + months)
        months += 1
    assert months == 3


@settings(deadline=None)
@given(
    models=st.lists(st.sampled_from(MODELS), min_size=1, max_size=5, unique=True),
    workers=st.integers(1, 6),
    memory=st.floats(0.1, 20),
    idle=st.floats(0, 1.3),
    months=st.integers(1, 6),
    data=st.data(),
)
def test_any_course(
    models: list[str], workers: int, memory: float, idle: float, months: int, data: st.DataObject
) -> None:
    """Never over the limit unless alone; everything done once and in order; no month begun too early."""
    schedule = Schedule(models, workers, memory, idle=idle)
    ahead = [JANUARY + offset for offset in range(months)]
    done: list[Task] = []
    failed: set[Month] = set()
    while True:
        while ahead and schedule.wants_month():
            schedule.begin(ahead.pop(0))
        assert len(schedule.unfinished) <= workers + 1
        while (task := schedule.start()) is not None:
            before = {
                PREPARE: set(),
                FINISH: {PREPARE, *(f"train-{model}" for model in models)},
            }.get(task.kind, {PREPARE})
            assert before <= {each.kind for each in done if each.month == task.month}
            assert task.month not in failed
            running = schedule.running
            assert len(running) <= workers
            used = sum(NEEDS[each.kind] for each in running) + idle * (workers - len(running))
            assert used <= memory or len(running) == 1
        if not schedule.running:
            break
        ended = data.draw(st.sampled_from(sorted(schedule.running)))
        if data.draw(st.integers(0, 9)) == 0:
            schedule.failed(ended)
            failed.add(ended.month)
        else:
            schedule.done(ended)
            assert ended not in done
            done.append(ended)
    assert ahead == []
    assert schedule.unfinished == set()
    for month in {JANUARY + offset for offset in range(months)} - failed:
        kinds = sorted(task.kind for task in done if task.month == month)
        assert kinds == sorted([PREPARE, FINISH, *(f"train-{model}" for model in models)])


class TestPace:
    def test_by_kind_and_by_how_many_ran_at_once(self) -> None:
        pace = Pace()
        pace.finished("a", 0.0, 10.0)
        pace.finished("b", 0.0, 4.0)
        pace.finished("b", 4.0, 10.0)
        # 20 seconds of work in 10: two at once.
        assert pace.seconds_left({"a": 3, "b": 4}) == pytest.approx((3 * 10 + 4 * 5) / 2)
        # The one that had a library to load is not what the others will take.
        pace.finished("b", 10.0, 40.0)
        assert pace.seconds_left({"b": 4}) == pytest.approx(4 * 6 * 40 / 50)
        assert pace.seconds_left({"a": 0}) == 0

    def test_nothing_is_known_of_a_kind_that_was_never_finished(self) -> None:
        pace = Pace()
        assert pace.seconds_left({"a": 1}) is None
        pace.finished("a", 0.0, 1.0)
        assert pace.seconds_left({"a": 1, "b": 1}) is None
        assert pace.seconds_left({"a": 1, "b": 0}) == 1
