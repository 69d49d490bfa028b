from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from deepfactor import schemas
from deepfactor.attribution.tables import RELEVANCE
from deepfactor.descriptors import DESCRIPTORS
from deepfactor.errors import SchemaError
from deepfactor.features import FEATURES
from deepfactor.schemas import FACTORS, LEDGER, MARKET, REMAINDERS, Table


def _market(**columns: object) -> pl.DataFrame:
    rows = {"market_return": [0.1, 0.2], "month": [date(2016, 2, 1), date(2016, 1, 1)], "risk_free_rate": [0.0, 0.0]}
    return pl.DataFrame({**rows, **columns})


def test_columns_and_rows_are_put_in_order() -> None:
    checked = MARKET.check(_market(), "test")
    assert checked.columns == ["month", "market_return", "risk_free_rate"]
    assert checked["month"].is_sorted()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (_market().drop("market_return"), r"lacks \['market_return'\]"),
        (_market(other=[1, 2]), r"unknown columns \['other'\]"),
        (_market(market_return=["a", "b"]), "String instead of Float64"),
        (_market(month=[date(2016, 2, 1)] * 2), "share their key.*2016, 2, 1"),
        (_market(month=[None, date(2016, 2, 1)]), "lack a key"),
    ],
)
def test_faults_are_named(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(SchemaError, match=f"the delivery.*{message}"):
        MARKET.check(frame, "the delivery")


TABLES = [RELEVANCE, DESCRIPTORS, *(each for each in vars(schemas).values() if isinstance(each, Table))]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_key_is_made_of_columns_and_no_name_stands_twice(table: Table) -> None:
    assert set(table.key) <= set(table.columns)
    assert sum(each.name == table.name for each in TABLES) == 1
    assert table.check(table.empty(), "").height == 0


def test_what_adds_up_to_a_prediction_is_named_alike() -> None:
    for table, names in ((LEDGER, FACTORS), (RELEVANCE, FEATURES)):
        assert tuple(table.columns)[3:] == (*names, *REMAINDERS, "prediction")
