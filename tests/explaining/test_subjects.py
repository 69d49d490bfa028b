"""What is explained: a stock of the month, its portfolios, or weights from a file; and why something is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.explaining.absence import nearest
from deepfactor.explaining.published import PublishedModel, read_model_month
from deepfactor.explaining.subjects import portfolio, stock
from deepfactor.store import Store
from tests.explaining.made_months import GONE, MONTH, OUTSIDE, SPARSE, STOCKS, publish_made

HOSTILE = "[red]\x1b[31m\u202e"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.csv"


class TestStock:
    def test_it_has_all_the_weight(self, two_months: Store, published: PublishedModel) -> None:
        subject = stock(two_months, published, STOCKS[2])
        assert (subject.kind, subject.name, subject.stocks) == ("stock", STOCKS[2], 1)
        assert np.flatnonzero(subject.weights).tolist() == [2]
        assert subject.weights.sum() == 1

    @pytest.mark.parametrize(
        ("security_id", "reason"),
        [
            (OUTSIDE, "it is not in the month's universe, which the configuration's `universe`"),
            (SPARSE, "only 9 of its 16 descriptors are known, fewer than the configuration's minimum"),
            (GONE, "its last month with a price is 2015-12"),
            ("13O0", "nothing in the run's data has this id; similar ids: 1300, 1370, 1307"),
            ("Toyota", "nothing in the run's data has this id$"),
            (HOSTILE, "^\\[red\\]\N{REPLACEMENT CHARACTER}\\[31m\N{REPLACEMENT CHARACTER} has no prediction"),
            ("", "^ has no prediction"),
        ],
    )
    def test_why_it_is_not_there(
        self, two_months: Store, published: PublishedModel, security_id: str, reason: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            stock(two_months, published, security_id)


class TestNearest:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [("7023", ["7203"]), ("72030", ["7203"]), ("203", ["203A", "7203"]), ("x7203", ["7203"]), ("zzzz", [])],
    )
    def test_ids_that_differ_in_places(self, asked: str, expected: list[str]) -> None:
        assert nearest(asked, ["1301", "7203", "203A", "9999"])[: len(expected) or 1] == expected

    @given(there=st.lists(st.text(max_size=5), max_size=6, unique=True))
    def test_what_is_there_is_nearest_to_itself(self, there: list[str]) -> None:
        for each in there:
            assert nearest(each, there)[0] == each
            assert len(nearest(each, there)) <= 3


class TestPublishedPortfolio:
    @pytest.mark.parametrize(
        ("text", "name", "sums"),
        [("top", "top quintile", (1, 0)), ("bottom", "bottom quintile", (1, 0)), ("long-short", "long-short", (1, -1))],
    )
    def test_weights_are_equal(
        self, published: PublishedModel, text: str, name: str, sums: tuple[float, float]
    ) -> None:
        subject = portfolio(published, text)
        assert (subject.kind, subject.name, subject.published) == ("portfolio", name, True)
        weights = subject.weights
        assert (weights[weights > 0].sum(), weights[weights < 0].sum()) == pytest.approx(sums)
        fifth = 1 if text == "bottom" else 5
        assert set(published.signals["quintile"].to_numpy()[weights > 0]) == {fifth}

    def test_too_few_stocks_for_fifths(self, store: Store) -> None:
        publish_made(store, stocks=STOCKS[:3])
        published = read_model_month(store, MONTH)
        with pytest.raises(ConfigurationError, match="3 stocks are too few for a long-short portfolio; there are top"):
            portfolio(published, "long-short")


class TestFile:
    def test_any_finite_weights(self, published: PublishedModel, file: Path) -> None:
        file.write_text(
            f"name,weight , security_id\nx,-0.5,{STOCKS[1]}\n\ny, 1.25e0 , {STOCKS[0]} \n", encoding="utf-8-sig"
        )
        subject = portfolio(published, str(file))
        assert (subject.kind, subject.name, subject.published, subject.stocks) == ("portfolio", "weights.csv", False, 2)
        assert subject.weights[:3].tolist() == [1.25, -0.5, 0.0]

    def test_a_file_with_the_name_of_a_published_portfolio(
        self, published: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("top").write_text(f"security_id,weight\n{STOCKS[0]},1\n")
        assert portfolio(published, "top").published
        assert portfolio(published, "./top").stocks == 1

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "weights.csv, row 1: no column security_id; its columns are none; write security_id,weight"),
            ("security_id,weigth\n", "row 1: no column weight; its columns are security_id, weigth; write"),
            ("security_id,weight,weight\n", "row 1: more than one column weight"),
            ("security_id,weight\n", "weights.csv has no rows: write a security and its weight in each"),
            ("security_id,weight\n\n , \n", "weights.csv has no rows"),
            (
                "security_id,weight\n1300,1\n1307,nan\n",
                "row 3: the weight 'nan' is no finite number; write one such as",
            ),
            ("security_id,weight\n1300,inf\n", "row 2: the weight 'inf' is no finite number"),
            ("security_id,weight\n1300,\n", "row 2: the weight '' is no finite number"),
            ('security_id,weight\n1300,"0,5"\n', "row 2: the weight '0,5' is no finite number"),
            ("security_id,weight\n1300,1_0\n", "row 2: the weight '1_0' is no finite number"),
            ("security_id,weight\n1300\n", "row 2: 1 values for 2 columns; write one for each"),
            ("security_id,weight\n1300,1,2\n", "row 2: 3 values for 2 columns"),
            ("security_id,weight\n,1\n", "row 2: no security; write its id, or remove the row"),
            (
                "security_id,weight\n1300,1\n1307,1\n1300,2\n",
                "row 4: 1300 stands in row 2 too; give each stock one weight",
            ),
            ("security_id,weight\n1301,1\n", "row 2: 1301 has no prediction by dfm2 in 2016-02; .* says why"),
            (f"security_id,weight\n{HOSTILE},1\n", "row 2: \\[red\\]\N{REPLACEMENT CHARACTER}\\[31m"),
            ('security_id,weight\n"1300,1\n', "is no CSV in UTF-8 .*: save it as one"),
            ("security_id,weight\n1300,9e15\n", "the weights' sizes sum up to 9e\\+15: use smaller units"),
        ],
    )
    def test_what_is_wrong_is_named(self, published: PublishedModel, file: Path, content: str, message: str) -> None:
        file.write_text(content)
        with pytest.raises(ConfigurationError, match=message):
            portfolio(published, str(file))

    def test_text_in_another_encoding(self, published: PublishedModel, file: Path) -> None:
        file.write_bytes("security_id,weight,name\n1300,1,トヨタ\n".encode("shift_jis"))
        with pytest.raises(ConfigurationError, match="is no CSV in UTF-8 .*: save it as one"):
            portfolio(published, str(file))

    @pytest.mark.parametrize("name", ["nowhere.csv", "."])
    def test_no_file(self, published: PublishedModel, name: str) -> None:
        with pytest.raises(
            ConfigurationError, match="there is no portfolio .*: name top, bottom or long-short, or a CSV"
        ):
            portfolio(published, name)
