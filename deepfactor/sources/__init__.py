"""Where raw tables come from."""

from pathlib import Path

from deepfactor.config import SourceConfig
from deepfactor.sources.base import Source
from deepfactor.sources.files import FilesSource
from deepfactor.sources.simulated import land

__all__ = ["FilesSource", "Source", "land", "open_source"]


def open_source(config: SourceConfig) -> Source:
    """Return the source that a configuration describes; a simulated market is landed first.

    Raises
    ------
    ConfigurationError
        If no folder is given, it does not exist, or it holds something else than the simulated market asked for.
    """
    if config.simulate is not None and config.folder is not None:
        land(Path(config.folder), config.simulate)
    return FilesSource.from_config(config)
