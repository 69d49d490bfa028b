"""All pages, each a plain function of its address; what serves them only passes requests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from deepfactor.errors import ConfigurationError
from deepfactor.months import Month
from deepfactor.pages import month as months
from deepfactor.pages import overview
from deepfactor.pages.answer import Answer, page, redirect
from deepfactor.pages.attempts import STARTED, Attempt, attempts, unpublished
from deepfactor.pages.errors import NotThere
from deepfactor.pages.files import File, find_file, read_file
from deepfactor.pages.library import PATIENCE, Catalogue, Library
from deepfactor.pages.scores import Evaluations, Span
from deepfactor.pages.security import LISTED, search, security_view
from deepfactor.pages.shelf import Shelf
from deepfactor.publication import Manifest, find_manifest

# How many seconds a server's preparation follows the first reading of all months.
_FIRST_READING = 120.0


class Site:
    """The pages of one store. Every method may be called by many threads, and raises what the store raises.

    Parameters
    ----------
    shelf
        The store.
    folder
        Where digests are kept between restarts.
    root
        Path below which all pages lie, without a slash at the end.
    patience
        How many seconds a page waits for months that are read for the first time.
    """

    def __init__(self, shelf: Shelf, folder: Path, root: str, patience: float = PATIENCE) -> None:
        self._shelf = shelf
        self._library = Library(shelf, folder)
        self._evaluations = Evaluations(shelf)
        self._root = root
        self._patience = patience

    def prepare(self) -> None:
        """Read what is not kept yet, and render each kind of page once: the first person should not wait for that."""
        self.overview()
        catalogue = self._library.catalogue(_FIRST_READING)
        for security in list(self._library.securities(catalogue))[:1]:
            self.security(security)
            self.securities("")
        for month in list(catalogue.headlines)[-1:]:
            self.month(str(month))

    def close(self) -> None:
        """Stop reading."""
        self._library.close()

    def overview(self) -> Answer:
        """Return the grid of all months."""
        catalogue = self._library.catalogue(self._patience)
        left = unpublished(self._shelf, catalogue.published)
        if not catalogue.published and not left:
            return page("empty", self._root, tab="months", store=self._shelf.url(""))
        model = catalogue.headlines[max(catalogue.headlines)].signal_model if catalogue.headlines else None
        scores = self._evaluations.scores(model) if model else None
        return page(
            "overview",
            self._root,
            tab="months",
            store=self._shelf.url(""),
            pending=catalogue.pending,
            published=len(catalogue.published),
            damaged=catalogue.damaged,
            years=overview.grid(catalogue, left, scores),
            names=overview.NAMES,
            legend=overview.LEGEND,
            tiles=overview.tiles(catalogue, scores),
            trends=overview.trends(catalogue, scores),
            shares=overview.shares(catalogue, model) if model else None,
            model=model,
            scores=scores,
        )

    def month(self, text: str, part: str = "") -> Answer:
        """Return a part of a month's page: the report, ``validation``, ``gates`` or ``manifest``."""
        month = _month(text)
        if part not in {address for _, address, _ in months.PARTS}:
            raise NotThere(f"the page of {month} has no part {part!r}")
        manifest = find_manifest(self._shelf, month)
        if manifest is None:
            return self._unpublished(month)
        if part == "":
            return self.document(text, "report.html")
        content: dict[str, Any] = {}
        if part == "validation":
            content = {
                "verdicts": months.validation(self._shelf, manifest.named_objects),
                "documents": months.data_docs(manifest.named_objects),
            }
        elif part == "gates":
            manifest.named("gates.json")
            content = {"gates": months.gates(self._shelf, manifest.named_objects)}
        else:
            content = {
                "provenance": months.provenance(manifest),
                "objects": months.listed(manifest.named_objects),
                "inputs": manifest.inputs,
            }
        return self._month_page(part, manifest, files=f"months/{month}/files", **content)

    def document(self, text: str, name: str) -> Answer:
        """Return a month's page with one of its published pages in it."""
        manifest = self._manifest(text)
        self._of_month(manifest, name)
        part = "" if name == "report.html" else "validation"
        source = f"{self._root}/months/{manifest.month}/files/{quote(name)}"
        return self._month_page("document", manifest, part=part, source=source, name=name)

    def month_file(self, text: str, name: str) -> File:
        """Return one of the objects that a month's manifest names."""
        return self._of_month(self._manifest(text), name)

    def attempt_file(self, text: str, run: str, name: str) -> File:
        """Return one of the objects that validation and gates of an unpublished run have left."""
        attempt = self._attempt(_month(text), run)
        return find_file(attempt.objects, attempt.run.key("").rstrip("/"), name, f"{attempt.run.month}-{run}")

    def securities(self, text: str) -> Answer:
        """Return the securities whose name holds a text, or the one that has exactly this name."""
        catalogue = self._library.catalogue(self._patience)
        securities = self._library.securities(catalogue)
        if text.strip() in securities:
            return redirect(f"{self._root}/securities/{quote(text.strip(), safe='')}")
        found = search(securities, text)
        return page(
            "securities",
            self._root,
            tab="securities",
            query=text,
            pending=catalogue.pending,
            published=len(catalogue.published),
            total=len(securities),
            count=len(found),
            matches=found[:LISTED],
        )

    def security(self, security_id: str, model: str | None = None, text: str | None = None) -> Answer:
        """Return a security's page."""
        catalogue = self._library.catalogue(self._patience)
        if not catalogue.headlines:
            return self._nothing_yet(catalogue)
        frame = self._library.security(catalogue, security_id)
        if frame.is_empty() and catalogue.pending:
            return self._nothing_yet(catalogue)
        view = security_view(frame, catalogue.headlines, security_id, model, _month(text) if text else None)
        return page(
            "security",
            self._root,
            tab="securities",
            query=security_id,
            pending=catalogue.pending,
            published=len(catalogue.published),
            view=view,
        )

    def evaluation(self, text: str | None = None) -> Answer:
        """Return the page of an evaluation, the newest if none is named."""
        spans = self._evaluations.spans()
        if text is None and not spans:
            return page("no_evaluation", self._root, tab="evaluation", store=self._shelf.url(""))
        span = Span.parse(text) if text else next(iter(spans))
        manifest = self._evaluations.manifest(span)
        return page(
            "evaluation",
            self._root,
            tab="evaluation",
            span=span,
            spans=list(spans),
            manifest=manifest,
            objects=months.listed(manifest.named_objects),
            source=f"{self._root}/evaluations/{span}/files/report.html"
            if "report.html" in manifest.named_objects
            else None,
        )

    def evaluation_file(self, text: str, name: str) -> File:
        """Return one of the objects that an evaluation's manifest names."""
        span = Span.parse(text)
        manifest = self._evaluations.manifest(span)
        return find_file(manifest.named_objects, f"evaluations/{manifest.evaluation_id}", name, str(span))

    def send(self, file: File, held: str | None) -> Answer:
        """Send an object, unless the browser holds it.

        Parameters
        ----------
        file
            The object.
        held
            Entity tags of what the browser holds, as it says it.
        """
        if held and file.entity_tag in held:
            return Answer(b"", 304, headers={"ETag": file.entity_tag})
        body, policy = read_file(self._shelf, file)
        headers = {
            "ETag": file.entity_tag,
            "Content-Disposition": file.disposition,
            "Content-Security-Policy": policy,
        }
        return Answer(body, 200, file.media_type, headers)

    def _month_page(self, template: str, manifest: Manifest, part: str | None = None, **content: Any) -> Answer:
        catalogue = self._library.catalogue(self._patience)
        headline = catalogue.headlines.get(manifest.month)
        return page(
            f"month_{template}",
            self._root,
            tab="months",
            month=manifest.month,
            part=template if part is None else part,
            parts=[
                (name, address)
                for name, address, needed in months.PARTS
                if needed is None or needed in manifest.named_objects
            ],
            run_id=manifest.run_id,
            headline=headline,
            verdict=overview.verdict(headline) if headline else None,
            neighbours=catalogue.neighbours(manifest.month),
            **content,
        )

    def _unpublished(self, month: Month) -> Answer:
        tried = attempts(self._shelf, month)
        catalogue = self._library.catalogue(self._patience)
        if not tried:
            raise NotThere(
                f"{month} is not published in {self._shelf.url('')}, and no run of it has begun: trigger the DAG "
                f"deepfactor_monthly with the month {month}"
            )
        shown = [
            {
                "attempt": each,
                "files": f"months/{month}/runs/{each.run.run_id}/files",
                "verdicts": months.validation(self._shelf, each.objects),
                "gates": months.gates(self._shelf, each.objects) if "gates.json" in each.objects else [],
                "documents": months.data_docs(each.objects),
            }
            for each in sorted(tried, key=lambda each: (each.state == STARTED, -len(each.steps)))
        ]
        return page(
            "month_unpublished",
            self._root,
            tab="months",
            month=month,
            tried=shown,
            neighbours=catalogue.neighbours(month),
        )

    def _nothing_yet(self, catalogue: Catalogue) -> Answer:
        if not catalogue.published:
            return page("empty", self._root, tab="securities", store=self._shelf.url(""))
        return page(
            "reading",
            self._root,
            tab="securities",
            pending=catalogue.pending,
            published=len(catalogue.published),
            damaged=catalogue.damaged,
        )

    def _manifest(self, text: str) -> Manifest:
        month = _month(text)
        manifest = find_manifest(self._shelf, month)
        if manifest is None:
            raise NotThere(f"{month} is not published in {self._shelf.url('')}")
        return manifest

    def _of_month(self, manifest: Manifest, name: str) -> File:
        folder = f"runs/{manifest.month}/{manifest.run_id}"
        return find_file(manifest.named_objects, folder, name, str(manifest.month))

    def _attempt(self, month: Month, run: str) -> Attempt:
        for attempt in attempts(self._shelf, month):
            if attempt.run.run_id == run:
                return attempt
        raise NotThere(f"{month} has no run {run!r}")


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ConfigurationError as error:
        raise NotThere(str(error)) from None
