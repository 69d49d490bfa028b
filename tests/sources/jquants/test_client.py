"""Pages, patience and refusals, and that the key is told to nobody."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import pytest

from deepfactor.errors import ConfigurationError, SourceError, SourceUnreachable
from deepfactor.sources.jquants.client import Client, OutsidePlan
from tests.sources.jquants.conftest import FAST, client_of
from tests.sources.jquants.market import FIRST_DAY
from tests.sources.jquants.server import KEY, Service

BARS, DAY = "/equities/bars/daily", {"date": "2015-02-27"}


class TestRegression:
    def test_pages_are_put_together(self, service: Service) -> None:
        records = client_of(service).records(BARS, DAY)
        assert [row["Code"] for row in records] == [row["Code"] for row in service.market.bars[date(2015, 2, 27)]]
        assert len(records) == 15
        assert [query.get("pagination_key") for _, query in service.asked] == [None, "page-6", "page-12"]

    def test_a_day_without_anything_is_empty(self, service: Service) -> None:
        assert client_of(service).records("/fins/summary", {"date": "2014-01-01"}) == []

    @pytest.mark.parametrize("mood", [500, 502, 503, 504, "reset", "truncated", "html", "slow"])
    def test_a_passing_fault_is_asked_again(self, service: Service, mood: Any) -> None:
        naps: list[float] = []
        service.moods.extend([mood, mood])
        client = client_of(service, naps, timeout=0.1 if mood == "slow" else 5.0)
        assert len(client.records(BARS, DAY)) == 15
        assert naps == [1.0, 2.0]

    @pytest.mark.parametrize(
        ("retry_after", "waits"), [("7", 7.0), (None, 65.0), ("86400", 300.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 65.0)]
    )
    def test_too_many_requests_wait_as_told(self, service: Service, retry_after: str | None, waits: float) -> None:
        naps: list[float] = []
        service.moods.append(429)
        service.retry_after = retry_after
        client_of(service, naps).records(BARS, DAY)
        assert naps == [waits]

    def test_a_page_in_the_middle_is_asked_again_by_itself(self, service: Service) -> None:
        service.moods.extend(["", "truncated"])
        assert len(client_of(service).records(BARS, DAY)) == 15
        asked = [query.get("pagination_key") for _, query in service.asked]
        assert asked == [None, "page-6", "page-6", "page-12"]

    def test_requests_keep_their_distance(self, service: Service) -> None:
        naps: list[float] = []
        client = Client(
            KEY,
            base_url=service.url,
            timeout=5.0,
            sleep=naps.append,
            requests_per_minute=0.06,
            statements_per_minute=0.006,
        )
        client.records("/fins/dividend", DAY)
        client.records("/fins/dividend", DAY)
        client.records("/fins/summary", DAY)
        assert len(naps) == 2
        assert 900 < naps[0] <= 1000
        assert 9000 < naps[1] <= 10000


class TestValidation:
    def test_it_gives_up_after_bounded_patience(self, service: Service) -> None:
        naps: list[float] = []
        service.moods.extend([503] * 6)
        with pytest.raises(SourceUnreachable, match=r"daily \(date=2015-02-27\): status 503, 6 times; what has been"):
            client_of(service, naps).records(BARS, DAY)
        assert sum(naps) < 60
        assert SourceUnreachable.retryable

    def test_too_many_requests_for_long(self, service: Service) -> None:
        naps: list[float] = []
        service.moods.extend([429] * 6)
        with pytest.raises(SourceUnreachable, match=r"too many requests, 6 times.*lower source\.jquants\.requests_per"):
            client_of(service, naps).records(BARS, DAY)
        assert 600 < sum(naps) < 1200

    def test_wrong_key(self, service: Service) -> None:
        with pytest.raises(SourceError, match="status 403.*invalid or expired.*put a valid one into JQUANTS_API_KEY"):
            client_of(service, key="another-key").records(BARS, DAY)
        assert service.asked == []

    @pytest.mark.parametrize("path", ["/fins/dividend", "/indices/bars/daily/topix"])
    def test_plan_without_the_endpoint(self, service: Service, path: str) -> None:
        service.without = {path}
        with pytest.raises(SourceError, match="status 403.*plan does not have this") as caught:
            client_of(service).records(path, DAY)
        assert ("source.jquants.dividends to false" in str(caught.value)) == (path == "/fins/dividend")

    def test_dates_outside_the_plan(self, service: Service) -> None:
        with pytest.raises(OutsidePlan, match="the subscription covers 2008-05-07 to now: ask for months") as caught:
            client_of(service).records(BARS, {"date": "2008-05-06"})
        assert caught.value.covered_from == FIRST_DAY

    def test_other_refusals_say_what_the_service_says(self, service: Service) -> None:
        with pytest.raises(SourceError, match="status 400.*requires at least 1 parameter"):
            client_of(service).records(BARS, {})
        service.moods.append(404)
        with pytest.raises(SourceError, match="status 404"):
            client_of(service).records(BARS, DAY)

    def test_answers_that_are_no_records(self, service: Service) -> None:
        for mood, message in (
            ("redirect", "answered from another address"),
            ("no list", r"has no list named data, but \['info'\]"),
            (210, "status 210 without records"),
        ):
            service.moods.append(mood)
            with pytest.raises(SourceError, match=message):
                client_of(service).records(BARS, DAY)

    def test_pages_without_an_end(self, service: Service) -> None:
        service.moods.extend(["same page"] * 5)
        with pytest.raises(SourceError, match="repeats a page for ever"):
            client_of(service).records(BARS, DAY)

    @pytest.mark.parametrize("key", [None, "", "  ", "\n"])
    def test_no_key(self, key: str | None) -> None:
        with pytest.raises(ConfigurationError, match="there is no key for J-Quants"):
            Client(key, base_url="https://example.org", timeout=1.0, **FAST)

    @pytest.mark.parametrize("key", ["abc\ndef", "abc def", "キー1234"])
    def test_key_that_cannot_be_one(self, key: str) -> None:
        with pytest.raises(ConfigurationError, match="has characters that no key has") as caught:
            Client(key, base_url="https://example.org", timeout=1.0, **FAST)
        assert key not in str(caught.value)

    def test_the_key_travels_encrypted_or_not_at_all(self) -> None:
        with pytest.raises(ConfigurationError, match="must begin with https://"):
            Client(KEY, base_url="http://proxy.example/v2", timeout=1.0, **FAST)


class TestKey:
    @pytest.mark.parametrize(
        "moods",
        [[400], [401], [403], [404], [429] * 6, [500] * 6, ["reset"] * 6, ["truncated"] * 6, ["redirect"], [210]],
    )
    def test_the_key_is_in_no_message_and_no_log(
        self, service: Service, caplog: pytest.LogCaptureFixture, moods: list[Any]
    ) -> None:
        # The service repeats the key in its messages.
        service.moods.extend(moods)
        client = client_of(service)
        with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
            client.records(BARS, DAY)
        seen: BaseException | None = caught.value
        assert seen is not None
        while seen is not None:
            assert KEY not in repr(seen)
            # What hangs on a requests exception is the request, with its headers.
            assert not hasattr(seen, "request")
            seen = seen.__cause__ or seen.__context__
        assert KEY not in caplog.text
        assert KEY not in repr(client)

    def test_no_file_decides_the_key(self, service: Service, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "jquants-api.toml").write_text('[jquants-api-client]\napi_key = "from-a-file"\n')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("JQUANTS_API_KEY", "from-the-environment")
        assert len(client_of(service).records(BARS, DAY)) == 15


class TestBounds:
    def test_an_answer_that_is_too_large(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deepfactor.sources.jquants.client._LARGEST_ANSWER", 1_000)
        with pytest.raises(SourceError, match=r"/equities/bars/daily .*more than 0 MB; report it to the service"):
            client_of(service).records(BARS, DAY)
        # The pages count together, each call by itself.
        monkeypatch.setattr("deepfactor.sources.jquants.client._LARGEST_ANSWER", 5_000)
        client = client_of(service)
        assert len(client.records(BARS, DAY)) == len(client.records(BARS, DAY)) == 15

    def test_too_many_pages(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deepfactor.sources.jquants.client._MOST_PAGES", 2)
        with pytest.raises(SourceError, match="has more than 2 pages; report it to the service"):
            client_of(service).records(BARS, DAY)
        assert len(service.asked) == 2
