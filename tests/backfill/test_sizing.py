import pytest

from deepfactor.backfill.sizing import months_at_once


@pytest.mark.parametrize(
    ("gigabytes", "cores", "months"),
    [(0.5, 8, 1), (4, 8, 1), (7.5, 8, 2), (16, 8, 4), (64, 8, 8), (64, 2, 2), (64, 1, 1)],
)
def test_memory_and_cores_bound_the_months_at_once(gigabytes: float, cores: int, months: int) -> None:
    assert months_at_once(gigabytes * 1e9, cores) == months
