"""What training samples must be before a model sees them."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from deepfactor.errors import TrainingError
from deepfactor.features import FEATURES, Samples
from deepfactor.months import Month

LOGGER = logging.getLogger(__name__)


def check_samples(samples: Samples, month: Month, minimum_rows: int) -> None:
    """Refuse samples that no model can be trained on.

    A feature that is the same in all samples is logged as a warning: nothing is learned from it, and nothing breaks.

    Parameters
    ----------
    samples
        The training window.
    month
        The as-of month, for the message.
    minimum_rows
        How many samples there must be.

    Raises
    ------
    TrainingError
        If the columns are not ``FEATURES``, there are too few rows, an input or a return is NaN or infinite, or all
        returns are the same; names month, feature and stock.
    """
    _check_features(samples, month)
    _check_rows(samples, month, minimum_rows)
    _check_inputs(samples)
    _check_returns(samples, month)
    _warn_of_constants(samples, month)


def _check_features(samples: Samples, month: Month) -> None:
    names, columns = samples.features, samples.inputs.shape[1]
    must = f"the training samples of {month} must have the {len(FEATURES)} features in their order"
    missing = [*(Counter(FEATURES) - Counter(names)).elements()]
    unknown = [*(Counter(names) - Counter(FEATURES)).elements()]
    if missing or unknown:
        raise TrainingError(
            f"{must}; they lack {', '.join(missing) or 'nothing'} and have {', '.join(unknown) or 'nothing'} besides: "
            "build them with deepfactor.features"
        )
    for place, (found, expected) in enumerate(zip(names, FEATURES, strict=True)):
        if found != expected:
            raise TrainingError(f"{must}; column {place} is {found} instead of {expected}")
    if columns != len(FEATURES):
        raise TrainingError(f"{must}, from {FEATURES[0]} to {FEATURES[-1]}; the inputs have {columns} columns")


def _check_rows(samples: Samples, month: Month, minimum_rows: int) -> None:
    rows = len(samples.returns)
    if rows < minimum_rows:
        raise TrainingError(
            f"{month} has {rows} training samples, {minimum_rows} are needed (training.minimum_rows); left out were "
            f"{samples.exclusions}. Deliver more stocks, or ask for a later month."
        )


def _check_inputs(samples: Samples) -> None:
    bad = ~np.isfinite(samples.inputs)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TrainingError(
            f"the training inputs hold {samples.inputs[row, column]} in {FEATURES[column]} of "
            f"{samples.security_ids[row]}, {Month(int(samples.months[row]))}; descriptors must give null instead"
        )


def _check_returns(samples: Samples, month: Month) -> None:
    bad = ~np.isfinite(samples.returns)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise TrainingError(
            f"the return after {Month(int(samples.months[row]))} of {samples.security_ids[row]} is "
            f"{samples.returns[row]}; remove the price it comes from"
        )
    if np.ptp(samples.returns) == 0:
        raise TrainingError(
            f"all {len(samples.returns)} training returns of {month} are {samples.returns[0]}: nothing to learn"
        )


def _warn_of_constants(samples: Samples, month: Month) -> None:
    constant = samples.inputs.min(axis=0) == samples.inputs.max(axis=0)
    if constant.any():
        LOGGER.warning(
            "%s: the same in all %d training samples, so that nothing is learned from it: %s",
            month,
            len(samples.inputs),
            ", ".join(np.array(FEATURES)[constant]),
        )
