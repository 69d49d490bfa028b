"""Where raw tables come from."""

from deepfactor.config import SourceConfig
from deepfactor.sources.base import Source
from deepfactor.sources.files import FilesSource

__all__ = ["FilesSource", "Source", "open_source"]


def open_source(config: SourceConfig) -> Source:
    """Return the source that a configuration describes; a simulated market is landed first.

    Raises
    ------
    ConfigurationError
        If no folder is given, it does not exist, or it holds something else than the simulated market asked for.
    """
    return FilesSource.from_config(config)
