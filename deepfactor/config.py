"""Configuration: frozen dataclasses, read from YAML, strict about every key.

The digest of a configuration is part of a run's id; where the data lies is not, what it says is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfactor.attribution.rules import check_rules
from deepfactor.config_files import ConfigFiles, read_config_files
from deepfactor.errors import ConfigurationError
from deepfactor.gate_config import GateConfig
from deepfactor.models.names import check_models

INCLUDE = Path(__file__).resolve().parents[1] / "include"
DEFAULT_CONFIG = INCLUDE / "config" / "default.yaml"

LARGEST_FILE = 2_000_000_000
"""Bytes that a delivered file may take in memory, unless ``source.maximum_gigabytes`` says otherwise."""

# A threshold that is no number would pass everything.
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class CodeForm:
    """How a vendor writes a security code, and which part of it becomes the ``security_id``."""

    pattern: str = "(.+)"
    """Regular expression (Rust's syntax) that the whole code must match; its first group is kept, else all of it."""
    zero_pad: Annotated[int, Field(ge=0, le=50)] = 0
    """A code of digits alone is filled up with zeros on the left to this length, before the pattern is tried."""


@dataclass(frozen=True, config=_STRICT)
class Delay:
    """How long after the end of its period a figure is taken as known; ``months`` or ``days``."""

    months: Annotated[int | None, Field(ge=0, le=120)] = None
    """Calendar months; the end of a month stays the end of a month."""
    days: Annotated[int | None, Field(ge=0, le=3660)] = None

    def __post_init__(self) -> None:
        if (self.months is None) == (self.days is None):
            raise ValueError("say months or days, one of them")


@dataclass(frozen=True, config=_STRICT)
class DatasetMapping:
    """How one raw table is read from a vendor's files.

    What concerns text (``date_format``, ``decimal``, ``thousands``, ``missing``) holds for text in Parquet files too.
    """

    files: str
    """File or glob relative to the source's folder: ``.parquet``, or ``.csv``, ``.tsv``, ``.txt``, these also with
    ``.gz``."""
    columns: dict[str, str]
    """For each of our columns a SQL expression over the vendor's columns, such as ``coalesce(a, b)``."""
    types: dict[str, Literal["text", "code", "date", "number"]] = field(default_factory=dict)
    """What a vendor's column is, where it is not what the column of ours is that it serves."""
    encoding: str = "utf-8"
    """Of text files, by Python's name, such as ``cp932``."""
    separator: Annotated[str, Field(pattern=r"^[\t -!#-~]$")] = ","
    """Between the fields of a text file; one ASCII character."""
    date_format: str | None = None
    """As in strptime, such as ``%Y/%m/%d``; none: YYYY-MM-DD or YYYY-MM. A month stands for its last day."""
    decimal: Literal[".", ","] = "."
    """The sign before a number's fraction."""
    thousands: Annotated[str, Field(max_length=1)] = ""
    """The sign between groups of three digits; none by default."""
    missing: tuple[str, ...] = ()
    """What the vendor writes for "not known", besides nothing at all."""
    code: CodeForm | None = None
    """The form of ``security_id``; none: any."""
    available_after: Delay | None = None
    """When a figure was known whose ``available_from`` is null or not mapped, counted from its ``period_end``."""


@dataclass(frozen=True, config=_STRICT)
class SimulationConfig:
    """A simulated market that is landed in the source's folder when the folder does not hold it yet."""

    stocks: int = 300
    """Average number of listed stocks."""
    seed: Annotated[int, Field(ge=0)] = 20160229
    first_month: str = "1990-12"
    """The paper's history begins here …"""
    last_month: str = "2016-03"
    """… and ends with the result of its last forecast."""
    premia: Literal["linear", "interactions", "none"] = "interactions"
    """What expected returns follow from: scores alone, scores and their products, or nothing known."""
    quarterly_from: str | None = "2003-04"
    """From this month on firms report by quarter, one after the other within two years; null: once a year for ever."""


@dataclass(frozen=True, config=_STRICT)
class JQuantsConfig:
    """What is taken from the Japanese exchange's data service, and how; the key is no part of it."""

    markets: tuple[str, ...] = ("0101", "0111")
    """Segments whose stocks are the constituents: the First Section, and Prime, its heir since April 2022."""
    product_categories: tuple[str, ...] = ("011",)
    """Domestic stocks; others are funds, preferred equity and foreign stocks."""
    dividends: bool = True
    """Whether returns contain dividends, which only the Premium plan has; otherwise they are price returns."""
    carry_cash_flow: bool = False
    """Whether a report without a cash flow statement, as most first and third quarters are, keeps the last figure."""
    risk_free_rate: float = 0.0
    """A month's rate as a fraction, the same for all: the service has none, and Japan's was within 0.1 % of zero."""
    requests_per_minute: PositiveFloat = 60.0
    """What the plan allows: Free 5, Light 60, Standard 120, Premium 500."""
    statements_per_minute: PositiveFloat = 60.0
    """The same for statements, which have a limit of their own in every plan."""
    timeout_seconds: PositiveFloat = 30.0
    """Longest silence of the service before it is asked again."""
    cache: str = ".local/jquants"
    """Folder of what has been fetched, relative to the project."""
    base_url: str = "https://api.jquants.com/v2"

    def content(self) -> JQuantsConfig:
        """Return what decides the data, with defaults for how they are fetched."""
        usual = JQuantsConfig()
        how = ("requests_per_minute", "statements_per_minute", "timeout_seconds", "cache", "base_url")
        return replace(self, **{name: getattr(usual, name) for name in how})


@dataclass(frozen=True, config=_STRICT)
class SourceConfig:
    """Where raw tables come from, and how the vendor's columns map to ours."""

    datasets: dict[str, DatasetMapping] = field(default_factory=dict)
    """For files: how each table is read."""
    kind: Literal["files", "jquants"] = "files"
    jquants: JQuantsConfig | None = None
    """For J-Quants; null: the defaults."""
    folder: str | None = None
    """Of the delivery, relative to the project, or ``s3://bucket/prefix``; the command line's ``--source`` wins."""
    simulate: SimulationConfig | None = None
    maximum_gigabytes: PositiveFloat = LARGEST_FILE / 1e9
    """What a file, what it unpacks to, and the rows of a table may have; reading takes up to four times as much memory.
    Twenty years of 2,000 stocks have a tenth of a gigabyte."""


@dataclass(frozen=True, config=_STRICT)
class UniverseConfig:
    """Which stocks a month is about."""

    size: int | None = None
    """The largest N by market value, of the constituents where they are delivered; null: all of these, else all that
    have a market value."""
    minimum_stocks: int = 100
    """Fewer than this make quintiles of under twenty stocks: too few to average out anything."""
    minimum_descriptors: int = 12
    """Of 16; a stock with fewer is left out (section 6 of the design)."""


@dataclass(frozen=True, config=_STRICT)
class TrainingConfig:
    """How the models are trained.

    The defaults of target, epochs, batch size, learning rate and weight decay were searched for on Japanese equities up
    to 2016-05 (``benchmarks/hyperparameters.py``; the table is in ``benchmarks/README.md``), the paper's are in
    ``include/config/paper.yaml``.
    """

    target: Literal["return", "excess", "rank"] = "rank"
    """What a model learns: the total return, the return less the month's median, or its percentile rank. Returns are
    ruled by a few that are extreme: with ranks the rank IC of the networks was .08 instead of .03."""
    members: Annotated[int, Field(ge=1)] = 5
    """Networks per ensemble; 1 is the paper's model."""
    epochs: Annotated[int, Field(ge=1)] = 8
    """Passes over the training samples, with ``validation_months`` at most so many; from 6 to 15 nothing changes."""
    batch_size: Annotated[int, Field(ge=1)] = 256
    """For 2,000 stocks; a market of a tenth of them needs a tenth to have as many updates."""
    learning_rate: PositiveFloat = 0.0001
    """A tenth of Adam's default: the same rank IC, which then hardly depends on the number of epochs."""
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    """Part of every weight that an update takes away, per unit of learning rate (Loshchilov, Hutter 2019)."""
    validation_months: Annotated[int, Field(ge=0)] = 0
    """The window's last months are kept from training, and each member ends with the weights of its epoch with the
    least loss on them; 0: trained on all months, and all epochs."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Epochs without a smaller validation loss of any member after which training ends."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """How often a member that went wrong is trained, each time from another seed, before the month fails."""
    minimum_rows: Annotated[int, Field(ge=1)] = 1_000
    """Fewer are not enough for 80 inputs: a dozen samples for each."""
    accelerated: bool = True
    """Whether ``svr`` and ``forest`` are trained by scikit-learn-intelex where it is installed."""


@dataclass(frozen=True, config=_STRICT)
class AttributionConfig:
    """How predictions are booked to their inputs."""

    rules: Annotated[tuple[str, ...], Field(min_length=1, max_length=3)] = ("zero",)
    """Of layer-wise relevance propagation: one for all layers, or those of the first, the hidden and the last layers;
    ``zero``, ``epsilon:0.001``, ``gamma:0.25`` or ``alpha-beta:2`` (``deepfactor.attribution.rules``). ``zero`` loses
    nothing and equals gradient × input."""


@dataclass(frozen=True, config=_STRICT)
class Config:
    """Everything that decides what a run computes, apart from the data."""

    source: SourceConfig
    gates: GateConfig
    universe: UniverseConfig = field(default_factory=UniverseConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    attribution: AttributionConfig = field(default_factory=AttributionConfig)
    models: tuple[str, ...] = ("dfm1", "dfm2", "linear")
    signal_model: str = "dfm2"
    """The model whose predictions rank the summary and the report; one of ``models`` that can be explained."""
    calendar: str = "XTKS"
    """Exchange calendar whose last session closes a month."""
    expectations: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Expectation suites by raw table, read from ``include/expectations``."""

    def digest(self) -> str:
        """Return the SHA-256 of everything but where the delivery lies, or what a simulated one was made with.

        The raw tables themselves are in a run's id beside it.
        """
        jquants = self.source.jquants and self.source.jquants.content()
        content = asdict(replace(self, source=replace(self.source, folder=None, simulate=None, jquants=jquants)))
        del content["source"]["maximum_gigabytes"]  # It refuses, and changes nothing.
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_config(path: Path = DEFAULT_CONFIG, source: str | Path | None = None) -> Config:
    """Read a configuration, what it is based on, and the expectation suites beside it.

    ``base: default.yaml`` names another configuration, relative to this one's folder, of which the file is a change:
    mappings are merged key by key, anything else, lists and null too, replaces what the base says.

    Parameters
    ----------
    path
        A YAML file; suites lie in ``../expectations`` of its folder, or where there is none, of its base's.
    source
        Folder of the delivery, or ``s3://bucket/prefix``, instead of the one in the file. It is read as it is, nothing
        is simulated there.

    Raises
    ------
    ConfigurationError
        Naming the file and the key.
    """
    files = read_config_files(path)
    content = files.merged()
    if "expectations" not in content:
        content["expectations"] = files.suites()
    try:
        config = TypeAdapter(Config).validate_python(content)
    except ValidationError as error:
        faults = [_fault(each["loc"], each["msg"], files, path) for each in error.errors()]
        raise ConfigurationError(f"{path}: " + "; ".join(faults)) from None
    check_models(config.models, config.signal_model, where=str(path))
    check_rules(config.attribution.rules, where=str(path))
    return replace(config, source=_located(config.source, source, path))


def _fault(keys: tuple[str | int, ...], message: str, files: ConfigFiles, path: Path) -> str:
    holder = files.holder(keys) or path
    return f"{'.'.join(map(str, keys))}{'' if holder == path else f' (in its base {holder})'}: {message}"


def is_remote(folder: str) -> bool:
    """Tell whether a delivery's folder is an S3 prefix."""
    return "://" in folder


def _located(config: SourceConfig, source: str | Path | None, path: Path) -> SourceConfig:
    """Return the source with the place where its delivery lies, absolute."""
    if source is not None:
        if config.kind != "files":
            raise ConfigurationError(
                f"{path}: source.kind is {config.kind}, so there is nothing to read in {source}: "
                "leave out --source, or name a configuration that maps files"
            )
        folder = str(source) if is_remote(str(source)) else str(Path(source).resolve())
        return replace(config, folder=folder, simulate=None)
    if config.folder is None:
        return config
    if is_remote(config.folder):
        if config.simulate is not None:
            raise ConfigurationError(
                f"{path}: source.simulate lands a market in a folder of this machine, not in {config.folder}: "
                "name a folder, or remove source.simulate"
            )
        return config
    return replace(config, folder=str(INCLUDE.parent / config.folder))
