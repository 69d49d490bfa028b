from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.patience import DEFAULT, Patience


class TestWithin:
    def test_what_is_returned_or_raised_comes_back(self) -> None:
        assert DEFAULT.within(lambda: 1) == 1
        with pytest.raises(ZeroDivisionError):
            DEFAULT.within(lambda: 1 // 0)

    def test_what_takes_longer_is_given_up_and_does_not_hold_the_process(self) -> None:
        go_on = threading.Event()
        with pytest.raises(TimeoutError, match=r"no whole answer in 0\.05 s"):
            Patience(attempt=0.05).within(go_on.wait)
        (left,) = [each for each in threading.enumerate() if each.name == "attempt"]
        assert left.daemon
        go_on.set()
        left.join(5)
        assert not left.is_alive()


class TestRounds:
    @given(attempts=st.integers(1, 6))
    def test_as_many_as_allowed(self, attempts: int) -> None:
        assert list(Patience(attempts=attempts, pause=0).rounds()) == list(range(attempts))

    def test_pauses_double_and_differ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        for _ in range(50):
            list(Patience(attempts=4, pause=0.5).rounds())
        for index, longest in enumerate((0.5, 1.0, 2.0)):
            pauses = slept[index::3]
            assert longest / 2 <= min(pauses) < max(pauses) <= longest


@pytest.mark.parametrize("field", ["connect", "silence", "attempt", "attempts"])
@pytest.mark.parametrize("limit", [0, -1.0, float("inf"), float("nan")])
def test_no_limit_is_no_patience(field: str, limit: float) -> None:
    with pytest.raises(ConfigurationError, match=r"limits must be positive and finite"):
        Patience(**{field: limit})  # type: ignore[arg-type]  # one of them is an int


def test_a_pause_may_be_none_but_not_negative() -> None:
    assert Patience(pause=0).pause == 0
    with pytest.raises(ConfigurationError, match="a pause not negative"):
        Patience(pause=-0.1)
