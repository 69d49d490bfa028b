"""What an evaluation supposes, and what code computes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from deepfactor import __version__
from deepfactor.config import INCLUDE
from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.missing import MISSING_RETURN
from deepfactor.evaluation.trading import BASIS_POINTS
from deepfactor.provenance import code_version

_PACKAGE = Path(__file__).parents[1]
_TEMPLATES = INCLUDE / "templates"
_SOURCES = ("evaluation", "evaluating", "reports/evaluation")
# What shows an evaluation at a terminal only.
_SHOWN = frozenset({"command.py", "terminal.py"})
# Decides numbers here, beyond what decides those of a run.
_LIBRARY = "scipy"


@dataclass(frozen=True)
class Parameters:
    """What an evaluation supposes.

    Attributes
    ----------
    missing_return
        What a stock without a return earns in a portfolio, a fraction (:mod:`deepfactor.evaluation.missing`).
    basis_points
        Costs of each purchase and each sale.
    trials
        Portfolios that were tried, for the deflated Sharpe ratio; none: as many as there are models.
    """

    missing_return: float = MISSING_RETURN
    basis_points: float = BASIS_POINTS
    trials: int | None = None

    def number_of_trials(self, models: int) -> int:
        """Return how many portfolios were tried, of which there are so many models.

        Raises
        ------
        ConfigurationError
            If fewer were tried than there are models.
        """
        if self.trials is not None and self.trials < models:
            raise ConfigurationError(
                f"--trials {self.trials}: {models} models are evaluated, so at least as many were tried"
            )
        return models if self.trials is None else self.trials


USUAL = Parameters()


@lru_cache(maxsize=1)
def evaluation_version() -> str:
    """Return the package's version with a digest of all code that decides what an evaluation says, its page too."""
    digest = hashlib.sha256(f"{code_version()}\0{_LIBRARY}={version(_LIBRARY)}\0".encode())
    sources = [path for folder in _SOURCES for path in sorted((_PACKAGE / folder).glob("*.py"))]
    for path in (*sources, *sorted(_TEMPLATES.glob("evaluation.*"))):
        if path.name not in _SHOWN:
            digest.update(f"{path.parent.name}/{path.name}\0".encode())
            digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
