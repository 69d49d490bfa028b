from __future__ import annotations

import numpy as np
import pytest

from deepfactor.errors import SchemaError
from deepfactor.evaluation.series import finite_series, paired_series, varies


class TestFiniteSeries:
    def test_whole_numbers_become_floats(self) -> None:
        series = finite_series(np.array([1, 2]), "the returns")
        assert series.dtype == np.float64
        assert series.tolist() == [1.0, 2.0]

    def test_what_is_not_finite_is_named_with_its_place(self) -> None:
        with pytest.raises(
            SchemaError, match="^the returns: 2 of 3 values are not finite, the first at place 1; leave"
        ):
            finite_series(np.array([0.0, np.nan, -np.inf]), "the returns")

    @pytest.mark.parametrize("values", [np.zeros((3, 1)), np.float64(1)])
    def test_one_dimension(self, values: np.ndarray) -> None:
        with pytest.raises(SchemaError, match="one value a month is needed, not an array of shape"):
            finite_series(values, "the returns")


class TestPairedSeries:
    def test_other_months(self) -> None:
        with pytest.raises(SchemaError, match="^2 and 3 months of losses: give those of the months that both have"):
            paired_series(np.zeros(2), np.zeros(3), "losses")

    def test_the_second_is_checked_too(self) -> None:
        with pytest.raises(SchemaError, match="^the second losses: 1 of 2"):
            paired_series(np.zeros(2), np.array([0.0, np.inf]), "losses")


class TestVaries:
    def test_rounding_is_no_variation(self) -> None:
        assert not varies(np.array([0.3, 0.1 + 0.2]))
        assert not varies(np.zeros(3))
        assert varies(np.array([0.3, 0.3001]))

    def test_rounding_of_what_it_was_computed_from(self) -> None:
        differences = np.array([0.0, 1e-12])
        assert varies(differences)
        assert not varies(differences, beside=np.array([0.5, 0.6]))

    def test_what_has_no_square(self) -> None:
        assert not varies(np.array([0.0, 1e-200]))
