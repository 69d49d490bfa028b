"""The account of a stock that the month's page opens, in a real browser, against the Parquet files."""

import re
import shlex
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from playwright.sync_api import Browser

from deepfactor.descriptors import NAMES
from deepfactor.months import LAGS
from deepfactor.objects import frame_to_bytes
from deepfactor.reports.month import render_month
from deepfactor.reports.numbers import percent
from deepfactor.reports.waterfall import Step, steps_of, waterfall
from deepfactor.schemas import FACTORS, REMAINDERS
from tests.reports.watched import Watched

pytestmark = pytest.mark.integration

NASTY = "</script><img src=x onerror=\"document.title='taken'\">'$(id)"
TABLE = "#signals-table tbody"
DIALOG = """() => {
  const part = name => document.querySelector(`#stock [data-part="${name}"]`);
  const table = name => [...part(name).rows].map(row => [...row.cells].map(cell => cell.textContent));
  const drawn = selector => [...part("waterfall").querySelectorAll(selector)];
  const line = ["name", "prediction", "dispersion", "rank", "quintile", "place", "security"];
  return {
    open: document.getElementById("stock").open,
    ...Object.fromEntries(line.map(name => [name, part(name).textContent])),
    inputs: table("inputs"), lags: table("lags"), grid: table("grid"),
    falls: drawn(".fall, .whisker").map(path => [path.getAttribute("class"), path.getAttribute("d")]),
    texts: drawn("text:not(.tick)").map(text => text.textContent),
    ticks: drawn(".tick").map(text => text.textContent),
    images: document.querySelectorAll("img").length,
  };
}"""


@pytest.fixture(scope="module")
def files(make_report: Any) -> dict[str, bytes]:
    """What a run publishes: the page and the tables it was made of."""
    report = make_report(stocks=120, names=[NASTY, "0012", "日本電産", "PER@3 of 5%"])
    tables = {name: frame_to_bytes(getattr(report, name)) for name in ("signals", "ledger", "attribution")}
    return {**{f"{name}.parquet": body for name, body in tables.items()}, "report.html": render_month(report)}


@pytest.fixture(scope="module")
def tables(files: dict[str, bytes]) -> dict[str, pl.DataFrame]:
    """The signal model's rows of the Parquet files."""
    names = ("signals", "ledger", "attribution")
    return {name: pl.read_parquet(BytesIO(files[f"{name}.parquet"])).filter(model="dfm2") for name in names}


@pytest.fixture(scope="module")
def address(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(files["report.html"])
    return path.as_uri()


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address)
    yield watched
    assert watched.complaints == []
    assert [each for each in watched.requests if not each.startswith("data:")] == [address]
    assert watched.page.evaluate("document.title") == "Signals of 2016-02 · dfm2 · deepfactor"
    watched.page.close()


def dialog(watched: Watched) -> dict[str, Any]:
    found: dict[str, Any] = watched.page.evaluate(DIALOG)
    return found


def button(watched: Watched, security: str) -> Any:
    return watched.page.locator(f"{TABLE} button").get_by_text(security, exact=True)


def figure(text: str) -> float:
    return float(text.replace("−", "-")) / 100


def test_the_table_holds_every_figure_of_the_files(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    expected = tables["signals"].join(tables["ledger"].drop("prediction"), on="security_id").sort("rank")
    assert watched.column(0) == expected["security_id"].to_list()
    assert [int(each) for each in watched.column(1)] == expected["rank"].to_list()
    assert [int(each) for each in watched.column(4)] == expected["quintile"].to_list()
    columns = {2: "prediction", 3: "dispersion", **dict(enumerate((*FACTORS, *REMAINDERS), start=5))}
    exact = (
        f"column => [...document.querySelectorAll('{TABLE} tr')].map(row => Number(row.cells[column].dataset.value))"
    )
    for number, name in columns.items():
        assert watched.column(number) == [percent(each, signed=name != "dispersion") for each in expected[name]]
        assert watched.page.evaluate(exact, number) == expected[name].to_list()


def test_a_click_shows_the_figures_of_the_files(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    for rank in (1, 57, 120):
        signal = tables["signals"].row(by_predicate=pl.col("rank") == rank, named=True)
        button(watched, signal["security_id"]).click()
        found = dialog(watched)
        assert found["open"]
        assert found["name"] == signal["security_id"]
        assert (found["rank"], found["quintile"]) == (str(rank), str(signal["quintile"]))
        assert found["prediction"] == percent(signal["prediction"])
        assert found["dispersion"] == percent(signal["dispersion"], signed=False)
        assert found["place"] == f"{rank} of 120 shown"
        watched.page.keyboard.press("Escape")
        assert not dialog(watched)["open"]


def test_every_stock_adds_up_in_the_files_figures(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    """Through all stocks with the arrow key: inputs, others, remainders and prediction, as in the Parquet files."""
    watched.page.locator(f"{TABLE} button").first.click()
    for rank in range(1, 121):
        found = dialog(watched)
        security = found["name"]
        signal = tables["signals"].row(by_predicate=pl.col("security_id") == security, named=True)
        account = tables["ledger"].row(by_predicate=pl.col("security_id") == security, named=True)
        rows = tables["attribution"].filter(security_id=security)
        inputs = {f"{row['descriptor']}@{row['lag']}": row for row in rows.iter_rows(named=True)}
        assert (signal["rank"], len(inputs)) == (rank, 80)
        listed, rest = found["inputs"][:10], found["inputs"][10:]
        named = [re.match(r"[\w-]+@(?:0|3|6|9|12)(?=\D)", cells[0])[0] for cells in listed]
        sizes = sorted((abs(row["relevance"]) for row in inputs.values()), reverse=True)
        assert [abs(inputs[name]["relevance"]) for name in named] == sizes[:10]
        for name, (_, above, contribution, dispersion) in zip(named, listed, strict=True):
            assert contribution == percent(inputs[name]["relevance"])
            assert dispersion == percent(inputs[name]["dispersion"], signed=False)
            assert int(above.removesuffix(" %")) == int(100 * (inputs[name]["input"] + 0.5) + 1e-3)
        others = sum(row["relevance"] for name, row in inputs.items() if name not in named)
        assert rest[0][0] == "70 other inputs"
        assert figure(rest[0][2]) == pytest.approx(others, abs=0.5e-4 + 1e-12)
        assert [cells[0] for cells in rest[1:]] == ["bias", "level", "leak", "prediction"]
        assert [cells[2] for cells in rest[1:]] == [percent(account[each]) for each in (*REMAINDERS, "prediction")]
        parts = [figure(cells[2]) for cells in found["inputs"][:-1]]
        assert sum(parts) == pytest.approx(account["prediction"], abs=len(parts) * 0.5e-4)
        exact = [row["relevance"] for row in inputs.values()] + [account[each] for each in REMAINDERS]
        assert sum(exact) == pytest.approx(account["prediction"], abs=1e-12)
        assert found["lags"] == [["Descriptor", *(f"@{lag}" for lag in LAGS)]]
        assert found["grid"] == [
            [
                name,
                *(
                    percent(inputs[f"{name}@{lag}"]["relevance"]) if inputs[f"{name}@{lag}"]["known"] else "–"
                    for lag in LAGS
                ),
            ]
            for name in NAMES
        ]
        watched.page.keyboard.press("ArrowRight")
    assert dialog(watched)["rank"] == "120", "after the last there is nothing"


def test_the_waterfall_is_the_one_that_is_drawn_elsewhere(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    """The slow twin: the geometry of the page's other waterfalls, in Python."""
    watched.page.locator(f"{TABLE} button").first.click()
    stocks = tables["ledger"].join(tables["signals"].drop("prediction"), on="security_id").sort("rank")
    for row in stocks.iter_rows(named=True):
        total = Step("prediction", row["prediction"], row["dispersion"])
        drawn = waterfall(steps_of(row), Step("level", row["level"]), total)
        found = dialog(watched)
        assert found["texts"] == [text for fall in drawn.falls for text in (fall.label, fall.text)]
        ticks = [tick.label for tick in drawn.ticks]
        assert found["ticks"] == [*ticks[:-1], f"{ticks[-1]} %"]
        paths = [(f"fall {fall.kind}", fall.outline) for fall in drawn.falls]
        paths += [("whisker", fall.whisker) for fall in drawn.falls if fall.whisker]
        assert [kind for kind, _ in found["falls"]] == [kind for kind, _ in paths]
        for (_, path), (_, expected) in zip(found["falls"], paths, strict=True):
            assert re.sub(r"[-\d.]+", "", path) == re.sub(r"[-\d.]+", "", expected)
            places, others = (list(map(float, re.findall(r"-?[\d.]+", each))) for each in (path, expected))
            # A hundredth of a pixel may be rounded either way.
            assert places == pytest.approx(others, abs=0.011)
        watched.page.keyboard.press("ArrowRight")


def test_the_keyboard_alone_does(watched: Watched) -> None:
    page = watched.page
    focused = "document.activeElement.textContent"
    names = watched.column(0)
    page.get_by_label("All signals, scrollable").focus()
    for _ in range(13):
        page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Leak", "after the headers"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == names[0]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == names[1]
    page.keyboard.press("Enter")
    assert dialog(watched)["name"] == names[1]
    assert page.evaluate("document.activeElement.id") == "stock-title"
    page.keyboard.press("Escape")
    assert not dialog(watched)["open"]
    assert page.evaluate(focused) == names[1], "the focus is back"
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert dialog(watched)["name"] == names[2]
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == names[2], "where one has gone to"
    page.keyboard.press("End")
    assert page.evaluate(focused) == names[-1]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#signals-table')") is None, "one step passes the table"


def test_previous_and_next_follow_the_order_shown(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    page = watched.page
    page.locator("#signals-table thead").get_by_role("button", name="Value").click()
    page.get_by_label("Quintile", exact=True).select_option("4")
    quintile = tables["ledger"].join(tables["signals"].filter(quintile=4), on="security_id")
    expected = quintile.sort(["Value", "rank"], descending=[True, False])["security_id"].to_list()
    page.locator(f"{TABLE} tr:not([hidden]) button").first.click()
    found = []
    for place, _ in enumerate(expected, start=1):
        shown = dialog(watched)
        assert shown["place"] == f"{place} of {len(expected)} shown"
        found.append(shown["name"])
        following = page.get_by_role("button", name="Next stock")
        assert following.get_attribute("aria-disabled") == str(place == len(expected)).lower()
        if place < len(expected):
            following.click()
    assert found == expected
    page.get_by_role("button", name="Previous stock").click()
    assert dialog(watched)["name"] == expected[-2]
    page.get_by_role("button", name="Close").click()
    assert not dialog(watched)["open"]


def test_a_link_opens_a_stock(watched: Watched, address: str) -> None:
    page = watched.page
    for security in (NASTY, "0012", "日本電産", "PER@3 of 5%"):
        page.goto(f"{address}#stock={quote(security, safe='')}")
        watched.eventually("document.getElementById('stock').open")
        assert dialog(watched)["name"] == security
    page.get_by_role("button", name="Previous stock").click()
    other = dialog(watched)["name"]
    assert page.evaluate("decodeURIComponent(location.hash)") == f"#stock={other}", "the address is a link to it"
    page.keyboard.press("Escape")
    watched.eventually("location.hash === ''")
    page.goto(f"{address}#stock=9999%")
    watched.eventually("document.getElementById('shown').textContent === '0 of 120'")
    assert not dialog(watched)["open"]
    watched.requests[:] = [each for each in watched.requests if not each.startswith(address)] + [address]


def test_a_name_stays_text(watched: Watched) -> None:
    button(watched, NASTY).click()
    found = dialog(watched)
    assert found["name"] == NASTY
    assert found["images"] == 0
    command = watched.page.locator("#stock .command").inner_text()
    assert shlex.split(command) == ["deepfactor", "explain", "--month", "2016-02", f"--security={NASTY}"]


def test_the_extremes_open_too(watched: Watched, tables: dict[str, pl.DataFrame]) -> None:
    ranks = watched.page.locator(".extreme tbody tr td:first-child").all_inner_texts()
    assert [int(each) for each in ranks] == [*range(1, 11), *range(111, 121)]
    watched.page.locator(".extreme button").nth(12).click()
    assert dialog(watched)["rank"] == "113"
    watched.page.keyboard.press("Escape")
    assert watched.page.evaluate("document.activeElement.closest('.extreme') !== null")


@pytest.mark.parametrize("width", [380, 800, 1240])
def test_nothing_sticks_out_at_any_width(browser: Browser, address: str, width: int) -> None:
    watched = Watched(browser, f"{address}#stock={quote(NASTY, safe='')}", width)
    boxes = "[...document.querySelectorAll('#stock, #stock .scroll')].map(each => each.scrollWidth - each.clientWidth)"
    assert max(watched.page.evaluate(boxes)) <= 0
    assert watched.page.evaluate("document.getElementById('stock').getBoundingClientRect().right") <= width
    assert watched.complaints == []
    watched.page.close()


def test_an_open_stock_changes_no_print(watched: Watched) -> None:
    pages = watched.page.pdf(format="A4").count(b"/Type /Page\n")
    watched.page.locator(f"{TABLE} button").first.click()
    watched.page.emulate_media(media="print")
    assert not watched.page.locator("#stock").is_visible()
    assert watched.page.pdf(format="A4").count(b"/Type /Page\n") == pages > 3


def test_without_its_script_the_page_is_a_table(
    browser: Browser, address: str, tables: dict[str, pl.DataFrame]
) -> None:
    watched = Watched(browser, address, java_script_enabled=False)
    assert (
        watched.page.locator(f"{TABLE} th").all_text_contents()
        == tables["signals"].sort("rank")["security_id"].to_list()
    )
    assert watched.page.locator(".security").count() == 0
    for hidden in ("#stock", ".scripted"):
        assert not watched.page.locator(hidden).is_visible()
    watched.page.close()
