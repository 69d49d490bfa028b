"""What the pages need of a published month, small enough to keep for ten years of months."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from deepfactor.errors import IntegrityError
from deepfactor.months import Month
from deepfactor.publication import Manifest
from deepfactor.reports import verdict
from deepfactor.schemas import FACTORS, LEDGER, REMAINDERS, SHARES, SIGNALS, Table
from deepfactor.store import Store

# Raised when what a digest holds changes, so that older ones are made anew.
FORMAT = 2

ACCOUNTS = (*FACTORS, *REMAINDERS)

_FIGURES = ("prediction", "dispersion", *ACCOUNTS)
STOCKS = Table(
    "stocks of a digest",
    ("model", "security_id"),
    {
        "model": pl.String,
        "security_id": pl.String,
        "rank": pl.Int32,
        "quintile": pl.Int8,
        # Half the size, and seven digits are more than a page shows.
        **dict.fromkeys(_FIGURES, pl.Float32),
    },
)
"""Signals and ledger of all models; accounts are null for a model that is not explained."""

_GROUP = "top quintile"


@dataclass(frozen=True)
class Headline:
    """A published month in a few figures.

    Attributes
    ----------
    month, run_id, signal_model
        As in the manifest.
    models
        All that have signals; the signal model first, then by name.
    stocks, universe, quarantined
        Stocks with a signal of the signal model, stocks of the universe, and raw rows that were set aside.
    spread
        Mean prediction of the top quintile of the signal model less that of the bottom one, a fraction a month; none if
        one of them is empty.
    validated
        Whether the raw tables passed.
    remarks
        Expectations about raw tables, descriptors and signals that were not met, and did not stop the month.
    gates
        How many gates there are.
    refused, warned
        Names of the gates that refused, which no published month should have, and of those that only warn.
    shares
        Share of absolute relevance of each factor in the top quintile of the signal model, with the dispersion between
        members; empty if it is not explained.
    """

    month: Month
    run_id: str
    signal_model: str
    models: tuple[str, ...]
    stocks: int
    universe: int | None
    quarantined: int | None
    spread: float | None
    validated: bool
    remarks: tuple[str, ...]
    gates: int
    refused: tuple[str, ...]
    warned: tuple[str, ...]
    shares: dict[str, tuple[float, float]]

    @property
    def blessed(self) -> bool:
        """Whether validation passed and no gate refused; a month without gates is not blessed."""
        return self.validated and self.gates > 0 and not self.refused

    @property
    def warnings(self) -> int:
        """How many gates and expectations warn."""
        return len(self.warned) + len(self.remarks)

    def to_bytes(self) -> bytes:
        """Return the headline as JSON."""
        return json.dumps(asdict(self) | {"month": str(self.month)}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> Headline:
        """Read a headline.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is not one.
        """
        content = json.loads(body)
        content["month"] = Month.parse(content["month"])
        content["shares"] = {name: (share, spread) for name, (share, spread) in content["shares"].items()}
        return cls(**content | {name: tuple(content[name]) for name in ("models", "remarks", "refused", "warned")})


def digest(store: Store, manifest: Manifest) -> tuple[Headline, pl.DataFrame]:
    """Read what the pages need of a month, each object checked against the manifest.

    Parameters
    ----------
    store
        Where the month is published.
    manifest
        Its commit.

    Returns
    -------
    Headline, DataFrame
        The month in a few figures, and its stocks as ``STOCKS``.

    Raises
    ------
    IntegrityError
        If an object is missing or its bytes differ, or the manifest does not name one.
    """
    where = f"{manifest.month}, run {manifest.run_id}"
    tables = (("signals.parquet", SIGNALS), ("ledger.parquet", LEDGER), ("shares.parquet", SHARES))
    signals, ledger, shares = (
        table.check(store.read_frame(manifest.named(name)), f"{name} of {where}") for name, table in tables
    )
    try:
        validation, results, gates = (
            store.read_json(manifest.named(name))
            for name in ("validation/verdict.json", "results/verdict.json", "gates.json")
        )
        return _headline(manifest, signals, shares, (validation, results), gates), _stocks(signals, ledger)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"the verdicts of {where} cannot be read ({error!r}): publish the month again") from None


def _headline(
    manifest: Manifest,
    signals: pl.DataFrame,
    shares: pl.DataFrame,
    verdicts: tuple[Mapping[str, Any], Mapping[str, Any]],
    gates: list[Mapping[str, Any]],
) -> Headline:
    own = signals.filter(pl.col("model") == manifest.signal_model)
    means = dict(own.group_by("quintile").agg(pl.col("prediction").mean()).iter_rows())
    ours = shares.filter(pl.col("model") == manifest.signal_model, pl.col("group") == _GROUP)
    others = sorted(set(signals["model"].unique()) - {manifest.signal_model})
    return Headline(
        month=manifest.month,
        run_id=manifest.run_id,
        signal_model=manifest.signal_model,
        models=(manifest.signal_model, *others),
        stocks=own.height,
        universe=manifest.facts.get("stocks in the universe"),
        quarantined=manifest.facts.get("rows quarantined"),
        spread=means[5] - means[1] if {1, 5} <= means.keys() else None,
        validated=all(each.get("passed") is True for each in verdicts),
        remarks=tuple(
            f"{check.table}: {check.expectation}"
            for each in verdicts
            for check in verdict.checks(each)
            # What is set aside is as it should be.
            if not check.passed and check.severity != "quarantine"
        ),
        gates=len(gates),
        refused=tuple(_gate_name(each) for each in verdict.failed_gates(gates)),
        warned=tuple(_gate_name(each) for each in verdict.gate_warnings(gates)),
        shares={row["factor"]: (row["share"], row["dispersion"]) for row in ours.iter_rows(named=True)},
    )


def _gate_name(gate: Mapping[str, Any]) -> str:
    return f"{gate['gate']} ({gate['model']})" if gate.get("model") else str(gate["gate"])


def _stocks(signals: pl.DataFrame, ledger: pl.DataFrame) -> pl.DataFrame:
    booked = ledger.select("model", "security_id", *ACCOUNTS)
    joined = signals.join(booked, on=["model", "security_id"], how="left").select(*STOCKS.columns)
    return joined.cast(pl.Schema(STOCKS.columns)).sort("security_id", "model")
