"""What a month has published of one model, read through its manifest, and the members' part of it computed again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.attribution.change import CrossSection
from deepfactor.attribution.relevance import Relevance
from deepfactor.attribution.rules import network_rules
from deepfactor.attribution.tables import RELEVANCE
from deepfactor.errors import ConfigurationError, IntegrityError
from deepfactor.features import FEATURES
from deepfactor.models.base import Network
from deepfactor.months import Month
from deepfactor.publication import Manifest, read_manifest
from deepfactor.reports.numbers import figure, legible
from deepfactor.schemas import ATTRIBUTION, LEDGER, PORTFOLIOS, SHARES, SIGNALS, Table
from deepfactor.store import Store

# The fact of a manifest that says by which rules its relevance was propagated, and what they were before it did.
RULES_FACT = "attribution rules"
_RULES_UNSAID = "zero"

# Of the predictions' scale: what another machine's arithmetic may differ by, and no more.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class PublishedModel:
    """A month's published tables of one model; rows by stock, in the order of ``security_ids``.

    Attributes
    ----------
    manifest, model
        The commit, and the model's name.
    rules
        Names of the rules, as in the configuration.
    signals, ledger, relevance
        ``schemas.SIGNALS``, ``schemas.LEDGER`` and ``tables.RELEVANCE`` of the model, n rows each.
    portfolios, shares
        ``schemas.PORTFOLIOS`` and ``schemas.SHARES`` of the model.
    cross_section
        Its stocks' inputs, its weights and rules.
    known
        Where an input is the rank of a descriptor, shape (n, 80).
    """

    manifest: Manifest
    model: str
    rules: tuple[str, ...]
    signals: pl.DataFrame
    ledger: pl.DataFrame
    relevance: pl.DataFrame
    portfolios: pl.DataFrame
    shares: pl.DataFrame
    cross_section: CrossSection
    known: NDArray[np.bool_]

    @property
    def month(self) -> Month:
        """The as-of month."""
        return self.manifest.month

    @property
    def security_ids(self) -> NDArray[np.str_]:
        """The stocks, sorted, shape (n,)."""
        return self.cross_section.security_ids

    @property
    def inputs(self) -> NDArray[np.float32]:
        """``FEATURES`` in order, shape (n, 80)."""
        return self.cross_section.inputs

    @property
    def tolerance(self) -> float:
        """By how much two ways to the same figure may differ, in units of return."""
        return TOLERANCE * float(np.sqrt(np.mean(self.signals["prediction"].to_numpy() ** 2)))

    @cached_property
    def account(self) -> Relevance:
        """The members' relevances, from the weights; their means are those that were published.

        Raises
        ------
        IntegrityError
            If they are not.
        """
        account = self.cross_section.account
        published = self.relevance.select(FEATURES).to_numpy()
        furthest = float(np.abs(account.inputs - published).max())
        if furthest > self.tolerance:
            raise IntegrityError(
                f"{self.model} of {self.month} (run {self.manifest.run_id}): relevance computed again by "
                f"{', '.join(self.rules)} differs from what was published by up to {figure(furthest)}; that was made "
                "by other rules or another version: publish the month again with --replace"
            )
        return account


def read_model_month(store: Store, month: Month, model: str | None = None) -> PublishedModel:
    """Read what a month has published of a model; every object is checked against the manifest.

    Parameters
    ----------
    store, month
        Where, and which month.
    model
        Its name; none: the month's signal model.

    Raises
    ------
    StoreError
        If the month is not published.
    ConfigurationError
        If it is published without that model, or without its account.
    IntegrityError
        If an object is missing or differs, or its tables do not fit together.
    """
    manifest = read_manifest(store, month)
    name = model or manifest.signal_model
    tables = {
        table.name: store.read_frame(manifest.named(f"{table.name}.parquet"))
        for table in (SIGNALS, LEDGER, RELEVANCE, ATTRIBUTION, PORTFOLIOS, SHARES)
    }
    _check_model(tables, manifest, name)
    of_model = {
        table.name: _of_model(tables[table.name], table, manifest, name)
        for table in (SIGNALS, LEDGER, RELEVANCE, ATTRIBUTION, PORTFOLIOS, SHARES)
    }
    security_ids = of_model["signals"]["security_id"].to_numpy().astype(str)
    inputs, known = _inputs(of_model["attribution"], security_ids, manifest)
    network = Network.from_bytes(store.read(manifest.named(f"models/{name}/weights.safetensors")))
    rules = tuple(str(manifest.facts.get(RULES_FACT, _RULES_UNSAID)).split(", "))
    return PublishedModel(
        manifest=manifest,
        model=name,
        rules=rules,
        signals=of_model["signals"],
        ledger=of_model["ledger"],
        relevance=of_model["relevance"],
        portfolios=of_model["portfolios"],
        shares=of_model["shares"],
        cross_section=CrossSection(security_ids, inputs, network, network_rules(rules, len(network.kernels))),
        known=known,
    )


def _check_model(tables: dict[str, pl.DataFrame], manifest: Manifest, model: str) -> None:
    predicted, explained = (sorted(set(tables[name]["model"])) for name in ("signals", "ledger"))
    if model in explained:
        return
    what = "has signals only: relevance is not propagated through it" if model in predicted else "is not in it"
    raise ConfigurationError(
        f"{manifest.month} (run {manifest.run_id}): {legible(model)} {what}; choose from {', '.join(explained)}"
    )


def _of_model(frame: pl.DataFrame, table: Table, manifest: Manifest, model: str) -> pl.DataFrame:
    where = f"{table.name}.parquet of {manifest.month} (run {manifest.run_id})"
    if list(frame.columns) != list(table.columns):
        raise IntegrityError(
            f"{where} has other columns than {table.name} has now: it was published by another version; publish the "
            "month again with --replace"
        )
    return table.check(frame.filter(model=model), where)


def _inputs(
    attribution: pl.DataFrame, security_ids: NDArray[np.str_], manifest: Manifest
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return inputs and which of them are known, both (n, 80) and in the order of ``FEATURES``."""
    width = len(FEATURES)
    labels = attribution.select(pl.format("{}@{}", "descriptor", "lag")).to_series().head(width).to_list()
    stocks = attribution["security_id"].to_numpy().astype(str)
    if sorted(labels) != sorted(FEATURES) or not np.array_equal(stocks, np.repeat(security_ids, width)):
        raise IntegrityError(
            f"attribution.parquet of {manifest.month} (run {manifest.run_id}) does not hold {width} inputs of each "
            "stock in signals.parquet: publish the month again with --replace"
        )
    order = [labels.index(feature) for feature in FEATURES]
    inputs, known = (attribution[name].to_numpy().reshape(-1, width)[:, order] for name in ("input", "known"))
    return inputs, known
