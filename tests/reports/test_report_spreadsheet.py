import csv
from io import BytesIO, StringIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.reports.spreadsheet import frame_to_csv
from deepfactor.schemas import SIGNALS


def test_bytes(make_report: Any) -> None:
    signals = make_report(stocks=2, models=("dfm2",), names=['=cmd|"x"', "0123"]).signals
    assert frame_to_csv(signals).decode().splitlines() == [
        '"month","model","security_id","prediction","dispersion","rank","quintile"',
        '"2016-02-01","dfm2","\'=cmd|""x""",-0.008992,0.000661,2,3',
        '"2016-02-01","dfm2","0123",0.018393,0.000821,1,5',
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_figures_keep_every_digit(values: list[float]) -> None:
    frame = pl.DataFrame({"value": values})
    assert pl.read_csv(BytesIO(frame_to_csv(frame)), schema=frame.schema).equals(frame)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1))
def test_text_reads_back_but_for_an_apostrophe(names: list[str]) -> None:
    body = frame_to_csv(pl.DataFrame({"name": names})).decode()
    _, *rows = csv.reader(StringIO(body, newline=""))
    assert [row[0].replace("'", "") for row in rows] == [name.replace("'", "") for name in names]
    assert not any(row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")) for row in rows)


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tA", "\r", "\n7", "＝1", "＋1", "－1", "＠1", " =1"]
)
def test_nothing_is_computed(name: str) -> None:
    assert frame_to_csv(pl.DataFrame({"name": [name]})).decode() == f'"name"\n"\'{name}"\n'


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r", '; "', "a;b;\x00"])
@pytest.mark.parametrize("formula", ["=1+1", "+1", "-cmd|x", "@SUM(A1)", "＝1"])
def test_nor_where_a_line_is_divided_elsewhere(separator: str, formula: str) -> None:
    """A spreadsheet of a country whose decimal sign is the comma divides lines at semicolons, whatever is quoted."""
    frame = pl.DataFrame({"model": ["dfm2"], "name": [f"A{separator}{formula};"]})
    written = f"A{separator}'{formula};".replace('"', '""')
    assert frame_to_csv(frame).decode() == f'"model","name"\n"dfm2","{written}"\n'


@pytest.mark.parametrize("name", ["0123", "7203", "A=1", "A, =1", "A;'=1", "1E5", "'=1", "日本電産", " "])
def test_other_text_is_left_as_it_is(name: str) -> None:
    assert frame_to_csv(pl.DataFrame({"name": [name]})).decode() == f'"name"\n"{name}"\n'


def test_signals_are_those_of_the_frame_in_its_order(make_report: Any) -> None:
    signals = make_report(stocks=300).signals.sort(*SIGNALS.key)
    assert pl.read_csv(BytesIO(frame_to_csv(signals)), schema=signals.schema).equals(signals)
