"""What the pages show, against what was published; and that names from the data stay text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import INCLUDE
from deepfactor.errors import ConfigurationError, DeepfactorError, IntegrityError, StoreError, StoreUnreachable
from deepfactor.evaluating.results import read_evaluation
from deepfactor.objects import frame_to_bytes
from deepfactor.pages.answer import Answer
from deepfactor.pages.attempts import REFUSED, unpublished
from deepfactor.pages.errors import NotThere
from deepfactor.pages.routes import answer
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.pages.trouble import NOT_ALLOWED, NOT_LOGGED_IN, no_connection, trouble_of, trouble_page
from deepfactor.publication import read_manifest, read_month
from deepfactor.reports.numbers import decimal, percent
from tests.evaluating.made_span import STOCKS, publish_made
from tests.pages.conftest import MONTHS
from tests.pages.made import MODEL, publish_month, stop_at_gates, stop_at_validation

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e"


class _Links(HTMLParser):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("href", "src", "action") and value]


def _text(page: Answer) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.body.decode().split("</style>")[1])))


def test_every_link_of_every_page_leads_somewhere(site: Site) -> None:
    seen, left = set(), ["/deep-factor/"]
    while left:
        address = left.pop()
        seen.add(address)
        path, _, query = address.removeprefix("/deep-factor/").partition("?")
        values = dict(each.split("=") for each in query.split("&") if each)
        shown = answer(site, path, values)
        assert shown.status == 200, address
        if "/files/" in address or not shown.media_type.startswith("text/html"):
            continue
        for link in _Links(shown.body).found:
            if link.startswith(("data:", "#")):
                continue
            assert link.startswith("/deep-factor/"), f"{address} links {link}"
            target = link.partition("#")[0]
            # Of thirty like securities one will do.
            if target not in seen and ("/securities/" not in target or STOCKS[3] in target):
                left.append(target)
    assert {f"/deep-factor/months/{MONTHS[3]}", f"/deep-factor/securities/{STOCKS[3]}"} <= seen
    assert f"/deep-factor/evaluations/{MONTHS[0]}_{MONTHS[2]}/files/report.html" in seen


def test_the_grid_says_what_became_of_each_month(site: Site) -> None:
    body = answer(site, "", {}).body.decode()
    for month, kind, word in (
        (MONTHS[0], "blessed", "blessed"),
        (MONTHS[1], "warned", "blessed with 2 warnings"),
        (MONTHS[3], "bad", "failed validation"),
        (MONTHS[4], "blessed", "blessed"),
        (MONTHS[4] + 2, "bad", "refused by a gate"),
    ):
        assert re.search(rf'<a class="cell {kind}"[^>]*title="{month}: {word}"', body), month
    assert f'<span class="cell missing" title="{MONTHS[4] + 1}: missing">' in body
    assert body.count('class="cell outside"') == 5


def test_the_overview_has_the_evaluations_figures(site: Site, published: Shelf) -> None:
    known = read_evaluation(published, MONTHS[0], MONTHS[2]).performance.filter(pl.col("model") == MODEL)
    text = _text(answer(site, "", {}))
    assert f"{decimal(known['rank_ic'].mean(), 3)} mean of {known.height} scored months" in text
    assert f"{percent(known['long_short'].mean())} %" in text
    body = answer(site, "", {}).body.decode()
    for value in known["rank_ic"]:
        assert f"rank IC {decimal(value, 2)}" in body


def test_a_months_page_has_its_report_verdicts_gates_and_checksums(site: Site, published: Shelf) -> None:
    month = MONTHS[1]
    manifest = read_manifest(published, month)
    shown = answer(site, f"months/{month}", {})
    assert f"/deep-factor/months/{month}/files/report.html" in _Links(shown.body).found
    validation = _text(answer(site, f"months/{month}/validation", {}))
    assert "! warning" in validation
    assert "close positive" in validation
    gates = _text(answer(site, f"months/{month}/gates", {}))
    assert gates.index("! warning placebo") < gates.index("✓ passed validation")
    listed = _text(answer(site, f"months/{month}/manifest", {}))
    for name, reference in manifest.named_objects.items():
        assert name in listed
        assert reference.sha256 in listed


def test_months_lead_to_their_neighbours(site: Site) -> None:
    links = _Links(answer(site, f"months/{MONTHS[2]}/gates", {}).body).found
    # What is not published between is left out.
    assert f"/deep-factor/months/{MONTHS[1]}/gates" in links
    assert f"/deep-factor/months/{MONTHS[4]}/gates" in links


def test_a_month_that_failed_shows_what_failed_and_its_data_docs(site: Site) -> None:
    shown = answer(site, f"months/{MONTHS[3]}", {})
    text = _text(shown)
    assert "Run stopped ✗ failed validation" in text
    assert "prices: 7 rows have no close" in text
    assert "Correct the delivery" in text
    docs = answer(site, f"months/{MONTHS[3]}/runs/stopped/files/validation/data_docs/index.html", {})
    assert b"Docs of what failed" in docs.body
    refused = _text(answer(site, f"months/{MONTHS[4] + 2}", {}))
    assert "Run refused ✗ refused by a gate" in refused
    assert "✗ failed coverage" in refused


def test_of_several_runs_the_one_that_came_furthest_says_how_the_month_stands(shelf: Shelf, tmp_path: Path) -> None:
    stop_at_validation(shelf, MONTHS[0])
    stop_at_gates(shelf, MONTHS[0])
    shelf.put(f"runs/{MONTHS[1]}/begun/inputs.json", b"{}")
    assert unpublished(shelf, []) == {MONTHS[0]: REFUSED, MONTHS[1]: "started"}
    assert unpublished(shelf, [MONTHS[0]]) == {MONTHS[1]: "started"}
    site = Site(shelf, tmp_path, "")
    assert "none" in _text(answer(site, f"months/{MONTHS[1]}", {}))
    site.close()


def test_before_the_first_month_is_published_the_overview_shows_how_the_runs_stand(
    shelf: Shelf, tmp_path: Path
) -> None:
    stop_at_validation(shelf, MONTHS[0])
    shelf.put(f"runs/{MONTHS[1]}/begun/inputs.json", b"{}")
    site = Site(shelf, tmp_path, "")
    shown = answer(site, "", {})
    assert shown.status == 200
    assert "Published months 0 none yet" in _text(shown)
    assert f"{MONTHS[0]}: failed validation" in shown.body.decode()
    site.close()


def test_a_security_has_its_figures_month_by_month(site: Site, published: Shelf) -> None:
    text = _text(answer(site, f"securities/{STOCKS[3]}", {}))
    for month in (MONTHS[0], MONTHS[4]):
        read = read_month(published, month)
        row = read.signals.filter(pl.col("model") == MODEL, pl.col("security_id") == STOCKS[3]).row(0, named=True)
        account = read.ledger.filter(pl.col("model") == MODEL, pl.col("security_id") == STOCKS[3]).row(0, named=True)
        figures = [percent(row["prediction"]), *(percent(account[each]) for each in ("Risk", "Size", "bias", "level"))]
        shown = next(
            each for each in re.split(r"(?=20\d\d-\d\d [+−])", text) if each.startswith(f"{month} {figures[0]}")
        )
        assert all(each in shown for each in figures)
        assert f" {row['rank']} " in shown


def test_a_security_of_another_model_and_month(site: Site) -> None:
    text = _text(answer(site, f"securities/{STOCKS[3]}", {"model": "dfm1", "month": str(MONTHS[1])}))
    assert f"How the prediction of {MONTHS[1]} comes about" in text
    with pytest.raises(NotThere, match="models that have: dfm1, linear"):
        answer(site, f"securities/{STOCKS[3]}", {"model": "svr"})
    with pytest.raises(NotThere, match=f"no prediction for '{STOCKS[3]}' in {MONTHS[3]}"):
        answer(site, f"securities/{STOCKS[3]}", {"month": str(MONTHS[3])})
    with pytest.raises(NotThere, match="no published month has a prediction for 'nobody'"):
        answer(site, "securities/nobody", {})


def test_search_finds_parts_of_names_and_goes_to_whole_ones(site: Site) -> None:
    assert answer(site, "securities", {"query": f" {STOCKS[3]} "}).headers["Location"].endswith(STOCKS[3])
    matching = [name for name in STOCKS if "13" in name]
    found = _Links(answer(site, "securities", {"query": "13"}).body).found
    assert {f"/deep-factor/securities/{name}" for name in matching} <= set(found)
    assert "No security is called like that" in _text(answer(site, "securities", {"query": "zz"}))
    assert "30 securities have predictions" in _text(answer(site, "securities", {}))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"securities/{HOSTILE}", {}),
        (f"months/{HOSTILE}", {}),
        (f"months/{MONTHS[0]}/{HOSTILE}", {}),
        (f"months/{MONTHS[0]}/files/{HOSTILE}", {}),
        (f"months/{MONTHS[3]}/runs/{HOSTILE}/files/a", {}),
        (f"evaluations/{HOSTILE}", {}),
        (HOSTILE, {}),
        (f"securities/{STOCKS[0]}", {"model": HOSTILE}),
        (f"securities/{STOCKS[0]}", {"month": HOSTILE}),
        ("securities", {"query": HOSTILE}),
    ],
)
def test_hostile_addresses_stay_text(site: Site, path: str, query: dict[str, str]) -> None:
    try:
        shown = answer(site, path, query)
    except DeepfactorError as error:
        shown = trouble_page(trouble_of(error), "/deep-factor")
    assert "img" not in _Links(shown.body).tags
    assert "\u202e" not in shown.body.decode()


def test_hostile_names_in_the_data_stay_text(shelf: Shelf, tmp_path: Path) -> None:
    stop_at_validation(shelf, MONTHS[0], "<script>alert(1)</script>")
    month = MONTHS[1]
    manifest = publish_month(shelf, month)
    tables = {name: shelf.read_frame(manifest.named(name)) for name in ("signals.parquet", "ledger.parquet")}
    hostile = {
        name: frame_to_bytes(frame.with_columns(pl.col("security_id").replace({STOCKS[0]: HOSTILE})))
        for name, frame in tables.items()
    }
    kept = {name: shelf.read(manifest.named(name)) for name in manifest.named_objects if name.endswith("json")}
    publish_made(shelf, month, run="hostile", change={**kept, **hostile})
    site = Site(shelf, tmp_path, "/deep-factor", patience=30.0)
    for path in ("", "securities", f"securities/{HOSTILE}", f"months/{MONTHS[0]}", f"months/{month}/manifest"):
        shown = answer(site, path, {})
        assert shown.status == 200
        assert "img" not in _Links(shown.body).tags
        assert _Links(shown.body).tags.count("script") == 1
        assert "\u202e" not in shown.body.decode()
    site.close()


def test_pages_ask_nothing_of_the_network_and_run_one_script(site: Site) -> None:
    for path in ("", f"months/{MONTHS[0]}", "securities", f"securities/{STOCKS[3]}", "evaluations"):
        shown = answer(site, path, {})
        assert shown.all_headers["Content-Security-Policy"] == "frame-ancestors 'self'"
        assert b"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-" in shown.body
        assert not [each for each in _Links(shown.body).found if "//" in each and not each.startswith("data:")]


def test_of_nothing_it_says_what_to_do(shelf: Shelf, tmp_path: Path) -> None:
    site = Site(shelf, tmp_path, "/deep-factor")
    for path in ("", f"securities/{STOCKS[0]}"):
        assert "Unpause deepfactor_monthly" in _text(answer(site, path, {}))
    assert "trigger it once" in _text(answer(site, "evaluations", {}))
    with pytest.raises(NotThere, match="trigger the DAG deepfactor_monthly with the month 2016-02"):
        answer(site, "months/2016-02", {})
    with pytest.raises(NotThere, match="is not evaluated"):
        answer(site, "evaluations/2016-01_2016-02", {})
    site.close()


def test_without_patience_a_page_says_that_it_is_reading(published: Shelf, tmp_path: Path) -> None:
    site = Site(published, tmp_path, "/deep-factor", patience=0.0)
    first = answer(site, "", {})
    site.close()
    if b'id="pending"' in first.body:
        assert "this page completes itself" in _text(first)


@pytest.mark.parametrize("text", ["2013-01", "2013-01_", "x_2013-01", "2013-02_2013-01", "2013-01_2013-02_2013-03"])
def test_a_span_that_is_none_is_refused(site: Site, text: str) -> None:
    with pytest.raises(NotThere, match="is no span of months"):
        answer(site, f"evaluations/{text}", {})


@pytest.mark.parametrize(
    ("error", "status", "advice"),
    [
        (NotThere("2031-01 is not published"), 404, "overview"),
        (StoreUnreachable("cannot reach s3://b"), 503, "Check that the object store runs"),
        (IntegrityError("x is not what was written"), 502, "deepfactor verify"),
        (StoreError("no credentials"), 502, "credentials of the connection"),
        (ConfigurationError("not of the form"), 502, "connection's extra"),
        (DeepfactorError("odd"), 500, "odd"),
    ],
)
def test_an_expected_failure_says_what_to_do(error: DeepfactorError, status: int, advice: str) -> None:
    shown = trouble_page(trouble_of(error), "/deep-factor")
    assert shown.status == status
    assert str(error) in _text(shown)
    assert advice in _text(shown)


def test_who_may_not_see_the_pages_is_told_why() -> None:
    assert trouble_page(NOT_LOGGED_IN, "").status == 401
    assert trouble_page(NOT_ALLOWED, "").status == 403
    missing = trouble_page(no_connection("deepfactor_store", "The conn_id isn't defined"), "")
    assert missing.status == 503
    assert "AIRFLOW_CONN_DEEPFACTOR_STORE" in _text(missing)


def test_a_store_that_does_not_answer_is_an_expected_failure(new_shelf: Callable[[], Shelf]) -> None:
    with pytest.raises(StoreError, match="cannot reach"):
        Shelf.open("s3://nobody", new_shelf()._client.meta.endpoint_url, "unknown", "unknown")


def test_both_colour_modes_are_those_of_the_reports() -> None:
    templates = INCLUDE / "templates"
    blocks = re.findall(r":root \{(.*?)\}", (templates / "month.css").read_text(encoding="utf-8"), re.DOTALL)
    ours = (templates / "pages" / "pages.css").read_text(encoding="utf-8")
    for theme, block in zip(("light", "dark"), blocks[:2], strict=True):
        mine = dict(re.findall(r"(--[\w-]+): ([^;]+);", re.search(rf"theme={theme}\] \{{(.*?)\}}", ours, re.DOTALL)[1]))
        theirs = dict(re.findall(r"(--[\w-]+): ([^;]+);", block))
        assert {name: theirs[name] for name in mine} == mine
        assert mine.keys() >= dict(re.findall(r"(--[\w-]+): ([^;]+);", blocks[1])).keys()
