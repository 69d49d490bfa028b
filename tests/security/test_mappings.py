"""A mapping's SQL expression computes from the columns of its row; it reaches no file, no network and no setting."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import DatasetMapping
from deepfactor.errors import ConfigurationError, DeepfactorError
from deepfactor.months import Month
from deepfactor.sources.delivery import open_delivery
from deepfactor.sources.files import FilesSource
from deepfactor.sources.mapping import check_mapping

SECRET = "5eCr3t-0f-the-machine"
COLUMNS = {"month": "month", "market_return": "change", "risk_free_rate": "0.0"}

# What other engines of SQL have for reaching out, and polars' own ways of reading.
ATTEMPTS = (
    "(SELECT * FROM read_csv('{file}'))",
    "(SELECT 1)",
    "read_csv('{file}')",
    "read_parquet('{file}')",
    "scan_csv('{file}')",
    "read_json('{file}')",
    "read_ipc('{file}')",
    "read_csv('http://127.0.0.1:{port}/x')",
    "read_csv('s3://127.0.0.1:{port}/x')",
    "pg_read_file('{file}')",
    "load_file('{file}')",
    "readfile('{file}')",
    "file('{file}')",
    "url('http://127.0.0.1:{port}/')",
    "http_get('http://127.0.0.1:{port}/')",
    "getenv('DEEPFACTOR_SECRET')",
    "current_setting('DEEPFACTOR_SECRET')",
    "system('id')",
    "eval('1')",
    "load_extension('{file}')",
    "COPY x TO '{file}'",
    "ATTACH '{file}'",
    "change; DROP TABLE market",
    "change) FROM read_csv('{file}') --",
    "change FROM read_csv('{file}')",
    "change IN (SELECT a FROM read_csv('{file}'))",
    "EXISTS (SELECT a FROM read_csv('{file}'))",
    "change IN (FROM read_csv('{file}'))",
    "change IN (/**/FROM/**/read_csv/**/('{file}'))",
    "(sElEcT/**/max(a) FROM read_csv('http://127.0.0.1:{port}/x'))",
    "change IN (FROM read_parquet('s3://127.0.0.1/x.parquet'))",
    "coalesce(change, (SELECT max(a) FROM read_csv('{file}')))",
    "(TABLE '{file}')",
    '"{file}"',
    "'{file}'",
    "$1",
    "@x",
    "map_elements(change)",
    "python_udf(change)",
)


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir()
    (folder / "index.csv").write_text("month,change\n2016-02,0.01\n", encoding="utf-8")
    (tmp_path / "secret.csv").write_text(f"a\n{SECRET}\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_else_comes_into_the_table(attempt: str, delivery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACTOR_SECRET", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        text = attempt.format(file=delivery.parent / "secret.csv", port=server.getsockname()[1])
        mapping = DatasetMapping(files="index.csv", columns=COLUMNS | {"market_return": text})
        try:
            check_mapping("market", mapping)
            found = FilesSource(open_delivery(str(delivery)), {"market": mapping}).fetch(
                "market", Month.parse("2016-02"), Month.parse("2016-02")
            )
        except DeepfactorError as error:
            # What it refuses it may quote, but not what stands in the file.
            assert SECRET not in str(error)
        else:
            assert SECRET not in str(found.to_dicts())
        with pytest.raises(TimeoutError):
            server.accept()
    assert sorted(each.name for each in delivery.parent.iterdir()) == ["delivery", "secret.csv"]


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if "SELECT" in each.upper() or "read_" in each])
def test_what_would_read_is_refused_before_it_is_looked_at(attempt: str, tmp_path: Path) -> None:
    """polars carries out a subquery while it reads it: a named pipe that nobody writes to would keep it for ever."""
    os.mkfifo(tmp_path / "pipe")
    text = attempt.format(file=tmp_path / "pipe", port=9)
    mapping = DatasetMapping(files="index.csv", columns=COLUMNS | {"market_return": text})
    with pytest.raises(ConfigurationError, match="is not an SQL expression"):
        check_mapping("market", mapping)


@pytest.mark.parametrize(
    "text", ["EXTRACT(YEAR FROM month) * 0.0", '"Selected" / 100', "change * CASE WHEN change > 0 THEN 1 END"]
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    check_mapping("market", DatasetMapping(files="index.csv", columns=COLUMNS | {"market_return": text}))


@pytest.mark.parametrize("files", ["/etc/passwd", "../secret.csv", "a/../../secret.csv", "*/../../secret.csv"])
def test_files_lie_in_the_folder(files: str) -> None:
    with pytest.raises(ConfigurationError, match="must lie inside the source's folder"):
        check_mapping("market", DatasetMapping(files=files, columns=COLUMNS))


def test_a_files_own_columns_are_all_there_is(delivery: Path) -> None:
    """A quoted name is a column, never a path."""
    mapping = DatasetMapping(files="index.csv", columns=COLUMNS | {"market_return": '"../secret.csv"'})
    with pytest.raises(DeepfactorError, match="index.csv"):
        FilesSource(open_delivery(str(delivery)), {"market": mapping}).fetch(
            "market", Month.parse("2016-02"), Month.parse("2016-02")
        )


def test_polars_knows_no_expression_that_reads() -> None:
    """Should a later version know one, this is where it is noticed."""
    reading = [name for name in ("read_csv", "read_parquet", "read_json", "read_ipc", "scan_delta") if _is_known(name)]
    assert reading == []


def _is_known(function: str) -> bool:
    try:
        pl.sql_expr(f"{function}('x')")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False
    return True
