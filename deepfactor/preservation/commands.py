"""The commands ``verify``, ``gc`` and ``restore``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Annotated

import typer
from rich import progress
from rich.table import Table

from deepfactor.address import configured_address
from deepfactor.config import INCLUDE
from deepfactor.errors import IntegrityError, StoreError
from deepfactor.months import Month
from deepfactor.publication import manifest_key, read_manifest
from deepfactor.store import Store
from deepfactor.terminal import console, expected_failures, opened_store

if TYPE_CHECKING:
    from deepfactor.preservation.publications import Damage, Publication

MonthOption = Annotated[str | None, typer.Option("--month", help="As-of month, written YYYY-MM.")]
AllOption = Annotated[bool, typer.Option("--all", help="All months and evaluations, replaced ones included.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result for machines.")]


def verify_command(month: MonthOption = None, everything: AllOption = False, as_json: JsonOption = False) -> None:
    """Read back every object of what is published and compare it with its manifest; exit with 1 if one is damaged."""
    from deepfactor.preservation.verification import verify_publications

    _check_one(month, everything)
    with expected_failures(), opened_store() as store:
        publications, damaged = _publications(store, month)
        with _shown("objects") as after:
            damaged += verify_publications(store, publications, after)
        _print_verification(store, publications, damaged, as_json=as_json)
    if damaged:
        raise typer.Exit(1)


def gc_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List; this is all that is done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what no manifest names: runs that were not published, and raw tables that only they read."""
    from deepfactor.preservation.publications import read_publications
    from deepfactor.preservation.unnamed import unnamed_objects

    if not dry_run:
        raise typer.BadParameter(
            "deepfactor deletes nothing that was written to the store: pass --dry-run for the list (--json for the "
            "keys), and delete with the store's own tools what you are sure of, while no month is computed",
            param_hint="--dry-run",
        )
    with expected_failures(), opened_store() as store:
        publications, damaged = read_publications(store)
        if damaged:
            raise StoreError(
                f"what {damaged[0].key} names cannot be told, because it is damaged: {damaged[0].reason}; mend it first"
            )
        groups = unnamed_objects(store, publications)
        if as_json:
            typer.echo(json.dumps([asdict(each) for each in groups], indent=1))
            return
        table = Table("folder", "objects", title=f"Named by none of {len(publications)} manifests in {store.url('')}")
        for each in groups:
            table.add_row(each.folder or "(top)", str(len(each.keys)))
        console().print(table if groups else f"Every object in {store.url('')} belongs to what is published.")


def restore_command(
    source: Annotated[str, typer.Option("--from", help="s3://bucket/prefix of a copy of the store.")],
    month: MonthOption = None,
    everything: AllOption = False,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of the copy's S3 service, if it is not the store's.")
    ] = None,
    replace: Annotated[
        bool, typer.Option(help="Replace a manifest that differs from the copy's by the copy's.")
    ] = False,
) -> None:
    """Bring published months and evaluations back from a copy: only what is missing or damaged is written."""
    from deepfactor.preservation.restoration import restore

    _check_one(month, everything)
    with expected_failures(), configured_address(INCLUDE.parent) as address:
        store = address.open()
        copy = with_fields(address, url=source, endpoint=endpoint or address.endpoint).open()
        publications, damaged = _publications(copy, month)
        for each in publications:
            written = restore(copy, store, each, replace=replace)
            console().print(f"{each.what}: {len(written)} objects restored", highlight=False)
        if damaged:
            raise StoreError(
                f"not all is restored, {len(damaged)} of the copy's manifests are damaged: {damaged[0].reason}"
            )


def _check_one(month: str | None, everything: bool) -> None:
    if (month is None) != everything:
        raise typer.BadParameter("pass either --month YYYY-MM or --all", param_hint="--month")


def _publications(store: Store, month: str | None) -> tuple[list[Publication], list[Damage]]:
    from deepfactor.preservation.publications import Damage, read_publication, read_publications

    if month is None:
        return read_publications(store)
    as_of = Month.parse(month)
    try:
        read_manifest(store, as_of)
        return [read_publication(store, manifest_key(as_of))], []
    except IntegrityError as error:
        return [], [Damage(month, manifest_key(as_of), str(error))]


def _print_verification(store: Store, publications: list[Publication], damaged: list[Damage], *, as_json: bool) -> None:
    objects = {each for publication in publications for each in publication.references}
    if as_json:
        content = {
            "store": store.url(""),
            "publications": [each.what for each in publications],
            "objects": len(objects),
            "bytes": sum(each.size for each in objects),
            "damaged": [asdict(each) for each in damaged],
        }
        typer.echo(json.dumps(content, indent=1))
        return
    for each in damaged:
        console().print(f"{each.what}: {each.reason}", markup=False, highlight=False, soft_wrap=True)
    size = sum(each.size for each in objects) / 1e6
    what = publications[0].what if len(publications) == 1 else f"{len(publications)} publications"
    state = f"{len(damaged)} damaged" if damaged else "all are whole"
    console().print(f"{what}: {len(objects)} objects, {size:.1f} MB, {state}", highlight=False)


@contextmanager
def _shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """Return what shows the progress of reading, where there is a terminal."""
    output = console()
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn())
    with progress.Progress(*columns, console=output, transient=True, disable=not output.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
