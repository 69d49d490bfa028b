"""Small months, published by the code that publishes real ones, of made descriptors and untrained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from deepfactor.attribution.accounts import account_for
from deepfactor.committing import commit
from deepfactor.config import AttributionConfig, UniverseConfig
from deepfactor.descriptors import DESCRIPTORS, NAMES
from deepfactor.explaining.published import RULES_FACT
from deepfactor.features import prediction_samples, rank_panel
from deepfactor.models.base import Network
from deepfactor.models.targets import Calibration
from deepfactor.months import Month, Window, month_range
from deepfactor.objects import frame_to_bytes
from deepfactor.publication import Manifest
from deepfactor.store import Store
from tests.models.networks import random_network

MONTH = Month.parse("2016-02")
LAST_MONTH = Month.parse("2016-01")
STOCKS = tuple(str(1300 + 7 * number) for number in range(30))
# In the data, but not predicted: outside the universe, with too few descriptors, and no longer there.
OUTSIDE, SPARSE, GONE = "9001", "9002", "9003"
# Its PER is not known in any month.
LOSSLESS = STOCKS[3]
# Of which nothing is known before the second month.
NEW = STOCKS[4]


def made_network(month: Month, hidden: tuple[int, ...] = (8, 5), members: int = 3) -> Network:
    """Return the month's untrained model, whose predictions are of a return's size."""
    network = random_network(80, hidden, members, seed=month.ordinal % 1000)
    return replace(network, calibration=Calibration(level=0.01, slope=0.02))


def made_descriptors(month: Month, stocks: Sequence[str] = STOCKS) -> pl.DataFrame:
    """Return descriptors of the month and the year before; a stock has the same of a month whoever asks."""
    rows = []
    for each in month_range(month + -12, month):
        for security_id in (*stocks, OUTSIDE, SPARSE, GONE):
            if (security_id == GONE and each >= LAST_MONTH) or (security_id == NEW and each < MONTH):
                continue
            random = np.random.default_rng([each.ordinal, *security_id.encode()])
            values = dict(zip(NAMES, random.normal(0.0, 0.1, len(NAMES)).tolist(), strict=True))
            if security_id == LOSSLESS:
                values["PER"] = None
            if security_id == SPARSE:
                values |= dict.fromkeys(NAMES[:7])
            row = {"month": each.first_day, "security_id": security_id, "in_universe": security_id != OUTSIDE}
            rows.append({**row, "total_return": values["1MOM"], **values})
    return DESCRIPTORS.check(pl.DataFrame(rows, schema=DESCRIPTORS.columns), "made")


def publish_made(
    store: Store,
    month: Month = MONTH,
    *,
    stocks: Sequence[str] = STOCKS,
    rules: tuple[str, ...] = ("zero",),
    networks: Mapping[str, Network] | None = None,
    facts: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
) -> Manifest:
    """Publish a month of one or more models, ``dfm2`` if none are given; ``leave_out`` names objects."""
    descriptors = made_descriptors(month, stocks)
    window = Window(month)
    samples = prediction_samples(rank_panel(descriptors, window), window, UniverseConfig(minimum_stocks=2))
    models = networks or {"dfm2": made_network(month)}
    tables, _ = account_for(month, models.items(), samples, AttributionConfig(rules=rules))
    bodies = {f"{name}.parquet": frame_to_bytes(frame) for name, frame in tables.items()}
    bodies["descriptors.parquet"] = frame_to_bytes(descriptors)
    bodies |= {f"models/{name}/weights.safetensors": model.to_bytes() for name, model in models.items()}
    run_id = f"made-{month}"
    named = {
        name: store.put(f"runs/{month}/{run_id}/{name}", body) for name, body in bodies.items() if name not in leave_out
    }
    told = {RULES_FACT: ", ".join(rules)} if facts is None else dict(facts)
    manifest = Manifest(month, run_id, next(iter(models)), "code", "digest", told, (), named)
    commit(store, manifest, replace=True)
    return manifest
