"""A simulated market whose codes are hostile names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from deepfactor.config import Config
from deepfactor.sources import open_source
from tests.security.hostile import every_name, names

# The years in which the history of 2016-02 lies.
_FIRST_YEAR = 2004


def land_hostile(folder: Path, config: Config, seed: int) -> Config:
    """Copy the market of a configuration with hostile names in the place of its codes.

    Parameters
    ----------
    folder
        Where it goes.
    config
        Of the honest market, which is landed if it is not there.
    seed
        Of the names that are not written down.

    Returns
    -------
    Config
        Of the hostile market.
    """
    open_source(config.source)
    landed = Path(str(config.source.folder))
    constituents = pl.read_parquet(landed / "constituents.parquet")
    codes = constituents.sort("date", descending=True)["code"].unique(maintain_order=True)
    prices = {path.name: pl.read_parquet(path) for path in sorted((landed / "prices").glob("*.parquet"))}
    everybody = pl.concat([codes, *(frame["code"] for frame in prices.values())]).unique(maintain_order=True)
    new = dict(zip(everybody.to_list(), distinct(len(everybody), seed), strict=True))
    (folder / "prices").mkdir(parents=True)
    for name, frame in prices.items():
        if int(name.partition(".")[0]) >= _FIRST_YEAR:
            _renamed(frame, new).write_parquet(folder / "prices" / name)
    for name in ("constituents", "fundamentals"):
        _renamed(pl.read_parquet(landed / f"{name}.parquet"), new).write_parquet(folder / f"{name}.parquet")
    (folder / "index.csv").write_bytes((landed / "index.csv").read_bytes())
    return replace(config, source=replace(config.source, folder=str(folder), simulate=None))


def distinct(count: int, seed: int) -> list[str]:
    """Return so many names that a delivery tells apart, those that are written down first."""
    found = pl.Series([*every_name(seed), *names(2 * count, seed)])
    # As a delivery is read: blanks around a name are no part of it.
    there = found.str.strip_chars()
    return there.filter(there != "").unique(maintain_order=True).head(count).to_list()


def _renamed(frame: pl.DataFrame, new: dict[str, str]) -> pl.DataFrame:
    return frame.with_columns(pl.col("code").replace_strict(new))
