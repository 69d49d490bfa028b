"""Ways in which a month's delivery goes wrong, and months that are unusual and right.

Each is a small pure function of a good month's raw tables, with what must come of it.
"""

from tests.validation.corruptions.accounts import DAMAGED_ACCOUNTS
from tests.validation.corruptions.changes import AS_OF, Corruption, Reported, SetAside, Stopped, Tables
from tests.validation.corruptions.constituents import DAMAGED_CONSTITUENTS
from tests.validation.corruptions.market import DAMAGED_MARKET
from tests.validation.corruptions.prices import DAMAGED_PRICES, SINGLE_PRICES
from tests.validation.corruptions.results import DAMAGED_RESULTS
from tests.validation.corruptions.unusual import UNUSUAL

CORRUPTIONS = [*DAMAGED_PRICES, *SINGLE_PRICES, *DAMAGED_MARKET, *DAMAGED_ACCOUNTS, *DAMAGED_CONSTITUENTS]

__all__ = [
    "AS_OF",
    "CORRUPTIONS",
    "DAMAGED_RESULTS",
    "UNUSUAL",
    "Corruption",
    "Reported",
    "SetAside",
    "Stopped",
    "Tables",
]
