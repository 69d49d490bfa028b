"""Which page an address leads to."""

from __future__ import annotations

from collections.abc import Mapping

from deepfactor.pages.answer import Answer
from deepfactor.pages.errors import NotThere
from deepfactor.pages.site import Site

# Nobody searches for more, and it stands on the page.
_LONGEST_QUERY = 100


def answer(site: Site, path: str, query: Mapping[str, str], held: str | None = None) -> Answer:
    """Answer a request.

    Parameters
    ----------
    site
        The pages.
    path
        Of the address, decoded, below the pages' root and without the slash it begins with. Names in it are looked up
        among what is published, and never made into keys.
    query
        Of the address.
    held
        Entity tags of what the browser holds, as it says it.

    Raises
    ------
    NotThere
        If it leads nowhere.
    StoreError
        If the store does not answer, refuses, or has not what it should have.
    """
    match path.split("/"):
        case [""]:
            return site.overview()
        case ["months", *parts]:
            return _month(site, parts, held)
        case ["securities"]:
            return site.securities(query.get("query", "")[:_LONGEST_QUERY])
        case ["securities", *parts]:
            return site.security("/".join(parts), query.get("model"), query.get("month"))
        case ["evaluations"]:
            return site.evaluation()
        case ["evaluations", span]:
            return site.evaluation(span)
        case ["evaluations", span, "files", *parts]:
            return site.send(site.evaluation_file(span, "/".join(parts)), held)
        case _:
            raise NotThere(f"there is no page {path!r}")


def _month(site: Site, parts: list[str], held: str | None) -> Answer:
    match parts:
        case [month]:
            return site.month(month)
        case [month, part]:
            return site.month(month, part)
        case [month, "show", *name]:
            return site.document(month, "/".join(name))
        case [month, "files", *name]:
            return site.send(site.month_file(month, "/".join(name)), held)
        case [month, "runs", run, "files", *name]:
            return site.send(site.attempt_file(month, run, "/".join(name)), held)
        case _:
            raise NotThere(f"there is no page {'/'.join(['months', *parts])!r}")
