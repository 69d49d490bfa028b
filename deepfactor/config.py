"""Configuration: frozen dataclasses, read from YAML, strict about every key.

The digest of a configuration is part of a run's id; where the data lies is not, what it says is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfactor.errors import ConfigurationError

INCLUDE = Path(__file__).resolve().parents[1] / "include"
DEFAULT_CONFIG = INCLUDE / "config" / "default.yaml"

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class DatasetMapping:
    """How one raw table is read from a vendor's files."""

    files: str
    """File or glob relative to the source's folder; Parquet or CSV, by suffix."""
    columns: dict[str, str]
    """For each of our columns a SQL expression over the vendor's columns, such as ``coalesce(a, b)``."""


@dataclass(frozen=True, config=_STRICT)
class SimulationConfig:
    """A simulated market that is landed in the source's folder when the folder does not hold it yet."""

    stocks: int = 300
    """Average number of listed stocks."""
    seed: int = 20160229
    first_month: str = "1990-12"
    """The paper's history begins here …"""
    last_month: str = "2016-03"
    """… and ends with the result of its last forecast."""


@dataclass(frozen=True, config=_STRICT)
class SourceConfig:
    """Where raw tables come from, and how the vendor's columns map to ours."""

    datasets: dict[str, DatasetMapping]
    kind: Literal["files"] = "files"
    folder: str | None = None
    """Root of the delivery, relative to the project; the command line's ``--source`` wins."""
    simulate: SimulationConfig | None = None


@dataclass(frozen=True, config=_STRICT)
class UniverseConfig:
    """Which stocks a month is about."""

    size: int | None = None
    """The largest N by market value, where no constituents are delivered; null: all that have a market value."""
    minimum_stocks: int = 100
    """Fewer than this make quintiles of under twenty stocks: too few to average out anything."""
    minimum_descriptors: int = 12
    """Of 16; a stock with fewer is left out (section 6 of the design)."""


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How the networks are trained."""

    members: int = 5
    """Networks per ensemble; 1 is the paper's model."""
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 0.001
    """Adam's default, as in Keras."""


@dataclass(frozen=True, config=_STRICT)
class GateConfig:
    """Thresholds of the month's gates; there are no defaults, a gate without a threshold does not bless."""

    ledger_tolerance: float
    """Largest |inputs + bias + leak − prediction| relative to the predictions' scale."""
    minimum_coverage: float
    """Smallest share of the universe that gets a prediction."""
    maximum_absolute_prediction: float
    """Largest credible monthly return forecast, as a fraction."""
    minimum_spread: float
    """Smallest cross-sectional standard deviation of a model's predictions: a constant is no signal."""


@dataclass(frozen=True, config=_STRICT)
class Config:
    """Everything that decides what a run computes, apart from the data."""

    source: SourceConfig
    gates: GateConfig
    universe: UniverseConfig = field(default_factory=UniverseConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    models: tuple[str, ...] = ("dfm1", "dfm2", "linear")
    signal_model: str = "dfm2"
    """The model whose predictions rank the summary and the report; one of ``models``."""
    calendar: str = "XTKS"
    """Exchange calendar whose last session closes a month."""
    expectations: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Expectation suites by raw table, read from ``include/expectations``."""

    def digest(self) -> str:
        """Return the SHA-256 of everything but the delivery's location."""
        content = asdict(replace(self, source=replace(self.source, folder=None)))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_config(path: Path = DEFAULT_CONFIG, source: Path | None = None) -> Config:
    """Read a configuration and the expectation suites beside it.

    Parameters
    ----------
    path
        A YAML file; suites lie in ``../expectations`` of its folder.
    source
        Folder of the delivery, instead of the one in the file.

    Raises
    ------
    ConfigurationError
        Naming the file and the key.
    """
    content = _read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(content).__name__}")
    if "expectations" not in content:
        content["expectations"] = _read_suites(path.resolve().parent.parent / "expectations")
    try:
        config = TypeAdapter(Config).validate_python(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ConfigurationError(f"{path}: " + "; ".join(faults)) from None
    if config.signal_model not in config.models:
        raise ConfigurationError(f"{path}: signal_model {config.signal_model!r} is not among models {config.models}")
    folder = source.resolve() if source is not None else _in_project(config.source.folder)
    return replace(config, source=replace(config.source, folder=None if folder is None else str(folder)))


def _in_project(folder: str | None) -> Path | None:
    return None if folder is None else INCLUDE.parent / folder


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); name an existing YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not YAML: {error}") from None


def _read_suites(folder: Path) -> dict[str, Any]:
    suites = {}
    for path in sorted(folder.glob("*.json")):
        try:
            suites[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: is not JSON: {error}") from None
    return suites
