"""What "published" means: a manifest, written last and once, that names every object with its checksum."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from deepfactor.errors import ConfigurationError, IntegrityError, StoreError
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.reports.month import MonthReport
from deepfactor.runs import Run
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, PORTFOLIOS
from deepfactor.seals import seal, unseal
from deepfactor.store import Store, verify_all

_MANIFESTS = "manifests/"
_REMEDY = "run the month again with --replace, or bring it back with deepfactor restore"


@dataclass(frozen=True)
class Manifest:
    """The commit of a month; as JSON it carries the checksum of its own content.

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
        return seal(asdict(self) | {"month": str(self.month)})

    @classmethod
    def from_bytes(cls, body: bytes, where: str) -> Manifest:
        """Read a manifest.

        Raises
        ------
        IntegrityError
            If it is not one, or not byte for byte what was written.
        """
        content = unseal(body, where, "a manifest", _REMEDY)
        try:
            content["month"] = Month.parse(content["month"])
            content["inputs"] = tuple(Reference.from_dict(each) for each in content["inputs"])
            content["named_objects"] = {
                name: Reference.from_dict(each) for name, each in content["named_objects"].items()
            }
            if not isinstance(content["facts"], dict):
                raise TypeError("facts are no names with values")
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError) as error:
            raise IntegrityError(f"{where} is not a manifest ({error}); {_REMEDY}") from None


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
    """Return a month's manifest, none if the month is not published.

    Raises
    ------
    IntegrityError
        If it is damaged, or another month's.
    """
    there = store.find(manifest_key(month))
    return None if there is None else checked_manifest(store, month, there[0])


def read_manifest(store: Store, month: Month) -> Manifest:
    """Return a month's manifest.

    Raises
    ------
    StoreError
        If the month is not published.
    IntegrityError
        If the manifest is damaged, or another month's.
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


def checked_manifest(store: Store, month: Month, body: bytes) -> Manifest:
    """Read what lies where the manifest of a month should.

    Raises
    ------
    IntegrityError
        If it is damaged, or another month's.
    """
    where = store.url(manifest_key(month))
    manifest = Manifest.from_bytes(body, where)
    if manifest.month != month:
        raise IntegrityError(f"{where} is the manifest of {manifest.month}: it was moved or overwritten; {_REMEDY}")
    return manifest


def copy_key(manifest: Manifest) -> str:
    """Return where a run keeps what it has published."""
    return Run(manifest.month, manifest.run_id).key("manifest.json")
