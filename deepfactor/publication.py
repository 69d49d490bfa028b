"""What "published" means: a manifest, written last and once, that names every object with its checksum."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreError
from deepfactor.months import Month
from deepfactor.objects import Reference, json_to_bytes
from deepfactor.reports.month import MonthReport
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, PORTFOLIOS
from deepfactor.store import Store, verify_all

LOGGER = logging.getLogger(__name__)

_MANIFESTS = "manifests/"


@dataclass(frozen=True)
class Manifest:
    """The commit of a month.

    Attributes
    ----------
    month
        The as-of month.
    run_id
        Hash of inputs, configuration and code version.
    signal_model
        The model that ranks summary and report.
    code_version, config_digest
        What computed it.
    facts
        The run's numbers: universe, rows, exclusions.
    inputs
        Raw tables the run read.
    objects
        Everything the run made, by name.
    """

    month: Month
    run_id: str
    signal_model: str
    code_version: str
    config_digest: str
    facts: dict[str, Any]
    inputs: tuple[Reference, ...]
    named_objects: dict[str, Reference]

    @property
    def objects(self) -> tuple[Reference, ...]:
        """Everything the run made, sorted by key."""
        return tuple(sorted(self.named_objects.values()))

    @property
    def report(self) -> Reference:
        """The month's HTML page."""
        return self.named_objects["report.html"]

    def named(self, name: str) -> Reference:
        """Return one of the objects.

        Raises
        ------
        IntegrityError
            If the manifest names none.
        """
        if name not in self.named_objects:
            raise IntegrityError(
                f"the manifest of {self.month} (run {self.run_id}) names no {name}: it was published by another "
                "version; publish the month again with --replace"
            )
        return self.named_objects[name]

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return json_to_bytes(asdict(self) | {"month": str(self.month)})

    @classmethod
    def from_bytes(cls, body: bytes, where: str) -> Manifest:
        """Read a manifest.

        Raises
        ------
        IntegrityError
            If it is not one.
        """
        try:
            content = json.loads(body)
            content["month"] = Month.parse(content["month"])
            content["inputs"] = tuple(Reference(**each) for each in content["inputs"])
            content["named_objects"] = {name: Reference(**each) for name, each in content["named_objects"].items()}
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{where} is not a manifest ({error}); publish the month again") from None


@dataclass(frozen=True)
class PublishedMonth:
    """A published month, read through its manifest and checked against it.

    Attributes
    ----------
    manifest
        The commit.
    signals, ledger, shares
        ``schemas.SIGNALS``, ``LEDGER`` and ``SHARES`` of all models.
    validation, results
        The verdicts on the raw data, and on descriptors and signals.
    gates
        The gates' verdicts.
    portfolios, correlations
        ``schemas.PORTFOLIOS`` and ``CORRELATIONS`` of all models that can be explained.
    attribution
        ``schemas.ATTRIBUTION`` of the signal model.
    """

    manifest: Manifest
    signals: pl.DataFrame
    ledger: pl.DataFrame
    shares: pl.DataFrame
    validation: dict[str, Any]
    results: dict[str, Any]
    gates: list[dict[str, Any]]
    portfolios: pl.DataFrame = field(default_factory=PORTFOLIOS.empty)
    correlations: pl.DataFrame = field(default_factory=CORRELATIONS.empty)
    attribution: pl.DataFrame = field(default_factory=ATTRIBUTION.empty)

    def report(self) -> MonthReport:
        """Return what the month's page and summary show."""
        provenance = {
            "code version": self.manifest.code_version,
            "configuration": self.manifest.config_digest[:12],
        }
        return MonthReport(
            month=self.manifest.month,
            run_id=self.manifest.run_id,
            signal_model=self.manifest.signal_model,
            facts=provenance | self.manifest.facts,
            signals=self.signals,
            ledger=self.ledger,
            shares=self.shares,
            validation=self.validation,
            results=self.results,
            gates=self.gates,
            portfolios=self.portfolios,
            correlations=self.correlations,
            attribution=self.attribution,
        )


def manifest_key(month: Month) -> str:
    """Return where a month's manifest lies."""
    return f"{_MANIFESTS}{month}.json"


def published_months(store: Store) -> list[Month]:
    """Return all months that have a manifest, oldest first."""
    months = []
    for key in store.list(_MANIFESTS):
        try:
            months.append(Month.parse(key.removeprefix(_MANIFESTS).removesuffix(".json")))
        except ConfigurationError:
            continue
    return sorted(months)


def find_manifest(store: Store, month: Month) -> Manifest | None:
    """Return a month's manifest, none if the month is not published."""
    key = manifest_key(month)
    try:
        body = store.get(key)
    except IntegrityError:
        return None
    return Manifest.from_bytes(body, store.url(key))


def read_manifest(store: Store, month: Month) -> Manifest:
    """Return a month's manifest.

    Raises
    ------
    StoreError
        If the month is not published.
    """
    manifest = find_manifest(store, month)
    if manifest is None:
        raise StoreError(f"{month} is not published in {store.url('')}: run the month first")
    return manifest


def read_month(store: Store, month: Month) -> PublishedMonth:
    """Read a published month; every object is checked against the manifest.

    Raises
    ------
    StoreError
        If the month is not published.
    IntegrityError
        If an object is missing or its bytes differ.
    """
    return open_month(store, read_manifest(store, month))


def open_month(store: Store, manifest: Manifest) -> PublishedMonth:
    """Read what people look at of a month, published or about to be; each object is checked.

    Raises
    ------
    IntegrityError
        If an object is missing or its bytes differ, or the manifest does not name one.
    """
    named = manifest.named
    return PublishedMonth(
        manifest=manifest,
        signals=store.read_frame(named("signals.parquet")),
        ledger=store.read_frame(named("ledger.parquet")),
        shares=store.read_frame(named("shares.parquet")),
        validation=store.read_json(named("validation/verdict.json")),
        results=store.read_json(named("results/verdict.json")),
        gates=store.read_json(named("gates.json")),
        portfolios=store.read_frame(named("portfolios.parquet")),
        correlations=store.read_frame(named("correlations.parquet")),
        attribution=store.read_frame(named("attribution.parquet")).filter(pl.col("model") == manifest.signal_model),
    )


def verify_month(store: Store, month: Month) -> Manifest:
    """Read back everything a published month consists of, raw inputs included.

    Raises
    ------
    StoreError
        If the month is not published.
    IntegrityError
        Naming the first object that is missing or differs.
    """
    manifest = read_manifest(store, month)
    verify_all(store, [*manifest.objects, *manifest.inputs])
    store.verify(Reference.to(copy_key(manifest), manifest.to_bytes()))
    return manifest


def commit(store: Store, manifest: Manifest, *, replace: bool) -> bool:
    """Publish a month: read everything back, then write the manifest, conditionally and last.

    Parameters
    ----------
    store
        Where the run's objects lie.
    manifest
        What to publish.
    replace
        Whether another run's publication of the month may be replaced.

    Returns
    -------
    bool
        False if this very run has published the month before, so that nothing was written.

    Raises
    ------
    PublicationConflict
        If another run has published the month and may not be replaced, or was faster.
    IntegrityError
        If an object is missing or differs.
    """
    key = manifest_key(manifest.month)
    body = manifest.to_bytes()
    entity_tag = store.etag(key)
    published = find_manifest(store, manifest.month) if entity_tag is not None else None
    verify_all(store, manifest.objects)
    if published is not None and published.to_bytes() == body:
        store.put_immutable(copy_key(manifest), body)
        LOGGER.info("%s is already published as run %s: nothing new", manifest.month, manifest.run_id)
        return False
    if published is not None and not replace:
        raise PublicationConflict(
            f"{manifest.month} is already published as run {published.run_id}, from other inputs, configuration or "
            f"code than this run {manifest.run_id}; pass --replace to publish this one in its place"
        )
    if not store.honours_conditions():
        LOGGER.warning("%s ignores conditional writes: make sure that only one publisher runs", store.url(""))
    if published is not None:
        # What is replaced stays known, even if its publisher was killed before it wrote the copy.
        store.put_immutable(copy_key(published), published.to_bytes())
    store.commit(key, body, replacing=entity_tag)
    store.put_immutable(copy_key(manifest), body)
    LOGGER.info("%s is published as run %s", manifest.month, manifest.run_id)
    return True


def copy_key(manifest: Manifest) -> str:
    """Return where a run keeps what it has published."""
    return f"runs/{manifest.month}/{manifest.run_id}/manifest.json"
