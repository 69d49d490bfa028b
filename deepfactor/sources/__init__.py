"""Where raw tables come from."""

from pathlib import Path

from deepfactor.config import JQuantsConfig, SourceConfig
from deepfactor.sources.base import Source
from deepfactor.sources.files import FilesSource
from deepfactor.sources.simulated import land

__all__ = ["FilesSource", "Source", "land", "open_source"]


def open_source(config: SourceConfig, api_key: str | None = None) -> Source:
    """Return the source that a configuration describes; a simulated market is landed first.

    Parameters
    ----------
    config
        The configuration.
    api_key
        Key of a data service; None: that of the service's environment variable.

    Raises
    ------
    ConfigurationError
        If no folder is given, it does not exist, or it holds something else than the simulated market asked for; if a
        service's key is not given.
    """
    if config.kind == "jquants":
        from deepfactor.sources.jquants import JQuantsSource  # imports pandas, which files do not need

        return JQuantsSource.from_config(config.jquants or JQuantsConfig(), api_key)
    if config.simulate is not None and config.folder is not None:
        land(Path(config.folder), config.simulate)
    return FilesSource.from_config(config)
