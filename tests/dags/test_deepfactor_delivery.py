"""How long a month is waited for, and what is said when it is missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from deepfactor.config import DatasetMapping, JQuantsConfig, SourceConfig
from deepfactor.errors import SourceError, SourceUnreachable
from deepfactor.months import Month
from deepfactor.sources import FilesSource
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.client import Client
from deepfactor.sources.jquants.source import JQuantsSource

MONTH = Month.parse("2016-03")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return importlib.import_module("deepfactor_delivery")


@pytest.fixture
def deliver(tmp_path: Any) -> Callable[..., FilesSource]:
    """Delivers closing prices of some months, and returns the source."""

    def deliver(*months: str) -> FilesSource:
        columns = {"month": "month", "security_id": "code", "close": "close"}
        rows = "".join(f"{month},1301,100\n" for month in months)
        if months:
            (tmp_path / "prices.csv").write_text(f"month,code,close\n{rows}", encoding="utf-8")
        mapping = DatasetMapping(files="prices.csv", columns=columns)
        return FilesSource.from_config(SourceConfig(folder=str(tmp_path), datasets={"prices": mapping}))

    return deliver


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("due", [now() - 400 * DAY, now() - DAY / 2, now() + 30 * DAY])
def test_what_is_there_is_taken_whenever_it_was_due(
    module: ModuleType, deliver: Callable[..., FilesSource], due: datetime
) -> None:
    assert module.delivered(MONTH, deliver("2016-02", "2016-03"), "vendor", due, DAY)


@pytest.mark.parametrize("months", [(), ("2016-02",)])
def test_a_month_that_has_just_become_due_is_waited_for(
    module: ModuleType, deliver: Callable[..., FilesSource], months: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert not module.delivered(MONTH, deliver(*months), "vendor", now() - DAY / 2, DAY)
    until = f"{now() + DAY / 2:%Y-%m-%d}"
    assert f"2016-03 in vendor is not there yet; waiting until {until}" in caplog.text


def test_a_month_whose_time_has_passed_fails_at_once(module: ModuleType, deliver: Callable[..., FilesSource]) -> None:
    due = datetime(2016, 3, 31, 9, tzinfo=UTC)
    expected = (
        r"2016-03 is not in vendor; it was due on 2016-03-31 09:00 UTC and waited for until "
        r"2016-04-01 09:00 UTC: have the vendor deliver it, then clear this task"
    )
    with pytest.raises(SourceError, match="have the vendor deliver it"):
        module.delivered(MONTH, deliver("2016-02"), "vendor", now() - 1.01 * DAY, DAY)
    with pytest.raises(SourceError, match=expected) as caught:
        module.delivered(MONTH, deliver("2016-02"), "vendor", due, DAY)
    assert not caught.value.retryable


def test_a_month_that_has_not_come_is_not_waited_for(module: ModuleType, deliver: Callable[..., FilesSource]) -> None:
    with pytest.raises(SourceError, match=r"2016-03 is not in .*, and not due before 2\d\d\d-.*: ask for it then"):
        module.delivered(MONTH, deliver("2016-02"), "vendor", now() + DAY, DAY)


def test_a_service_that_does_not_answer_is_waited_for_like_a_month(
    module: ModuleType, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    naps: list[float] = []
    # Nobody listens there.
    client = Client(
        "key",
        base_url="http://127.0.0.1:9/v2",
        requests_per_minute=1e9,
        statements_per_minute=1e9,
        timeout=1,
        sleep=naps.append,
    )
    source = JQuantsSource(Archive(tmp_path, client, lambda: date(2016, 4, 1)), JQuantsConfig())
    assert not module.delivered(MONTH, source, "jquants", now() - DAY / 2, DAY)
    assert "2016-03 in jquants is not known: " in caplog.text
    # Later that is no reason to give up either, but one to try again.
    with pytest.raises(SourceUnreachable):
        module.delivered(MONTH, source, "jquants", now() - 2 * DAY, DAY)
