import pytest

from deepfactor.backfill.sizing import models_at_once, months_at_once


@pytest.mark.parametrize(
    ("gigabytes", "cores", "months", "models"),
    [(0.5, 8, 1, 1), (4, 8, 1, 1), (7.5, 8, 2, 2), (16, 8, 4, 4), (64, 8, 9, 8), (64, 2, 3, 2), (64, 1, 2, 1)],
)
def test_memory_and_cores_bound_what_runs_at_once(gigabytes: float, cores: int, months: int, models: int) -> None:
    assert months_at_once(gigabytes * 1e9, cores) == months
    assert models_at_once(gigabytes * 1e9, cores) == models
