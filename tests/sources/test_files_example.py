"""The example of a mapping reads the delivery that its comments describe."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from deepfactor.config import INCLUDE, load_config
from deepfactor.errors import SourceError
from deepfactor.months import Month
from deepfactor.sources import open_source
from deepfactor.sources.base import Source

EXAMPLE = INCLUDE / "config" / "vendor_example.yaml"
MONTH = Month.parse("2016-02")
PRICES = """日付,銘柄コード,終値,Adjusted close,出来高,売買代金,時価総額
2016/02/29,13010,"2,500.5","2,600",12,30,"28,000"
2016/02/29,50,100,-,N/A,,-
"""
ACCOUNTS = """コード,決算期,単位,純利益,資産,負債,営業利益,経常利益,営業CF,売上高
1301,2015/11,百万円,"1,200",100,60,,30,-5,"1,000"
13020,2015/11,円,1200,100,60,20,30,-5,1000
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "prices" / "2016").mkdir(parents=True)
    (tmp_path / "prices" / "2016" / "02.csv.gz").write_bytes(gzip.compress(PRICES.encode("cp932")))
    (tmp_path / "accounts.csv.gz").write_bytes(gzip.compress(ACCOUNTS.encode("cp932")))
    (tmp_path / "index.tsv").write_text("month\tchange_percent\n2016-02\t-8.5\n")
    return open_source(load_config(EXAMPLE, tmp_path).source)


def test_prices(source: Source) -> None:
    assert source.fetch("prices", MONTH, MONTH).drop("total_return", "shares_outstanding").rows() == [
        (date(2016, 2, 1), "1301", 2500.5, 2600.0, 12e3, 30e6, 28e9),
        (date(2016, 2, 1), "0050", 100.0, None, None, None, None),
    ]


def test_accounts_are_known_three_months_after_their_period(source: Source) -> None:
    assert source.fetch("fundamentals", MONTH + -1, MONTH + -1).height == 0
    assert source.fetch("fundamentals", MONTH, MONTH).rows() == [
        ("1301", date(2015, 11, 30), date(2016, 2, 29), 1.2e9, 4e7, 3e7, 1e8, 6e7, -5e6, 1e9),
        ("1302", date(2015, 11, 30), date(2016, 2, 29), 1200.0, 40.0, 20.0, 100.0, 60.0, -5.0, 1000.0),
    ]


def test_market(source: Source) -> None:
    assert source.fetch("market", MONTH, MONTH).rows() == [(date(2016, 2, 1), pytest.approx(-0.085), 0.0)]


def test_a_code_of_another_form_is_named(source: Source, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv.gz").write_bytes(gzip.compress(ACCOUNTS.replace("13020", "13021").encode("cp932")))
    expected = r"accounts.csv.gz, row 2: security_id \(コード\) is '13021' where a security code that matches"
    with pytest.raises(SourceError, match=expected):
        source.fetch("fundamentals", MONTH, MONTH)
