"""What the paper itself reports, to stand beside an evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRow:
    """A row of Table 4 of Nakagawa, Uchida, Aoshima (2018); fractions, errors of a month, the rest of a year."""

    model: str
    annual_return: float
    annual_volatility: float
    sharpe_ratio: float
    mae: float
    rmse: float


TABLE_4: tuple[PaperRow, ...] = ()
"""As printed. Empty: the figures were not at hand to be copied, and are not told from memory."""
