"""The command ``deepfactor export``: a published network as a file for Keras."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deepfactor.errors import ConfigurationError, IntegrityError, StoreError
from deepfactor.models.base import Network
from deepfactor.models.names import EXPLAINED_MODELS
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.publication import Manifest, read_manifest
from deepfactor.runs import Run
from deepfactor.store import Store
from deepfactor.terminal import console, expected_failures, opened_store


@dataclass(frozen=True)
class Export:
    """A published model for use elsewhere.

    Attributes
    ----------
    run_id
        The run that trained it.
    keras_file
        Content of the ``.keras`` file.
    card
        Its card, as published: JSON, with the names of the inputs in order under ``features``.
    """

    run_id: str
    keras_file: bytes
    card: bytes


def export_model(store: Store, month: Month, model: str, run_id: str | None = None) -> Export:
    """Read a published model, checked against its month's manifest, and write it for Keras.

    Parameters
    ----------
    store
        Where the month is published.
    month
        The as-of month.
    model
        A network, or ``linear``.
    run_id
        A run that has published the month, now or before it was replaced; none: the one that counts now.

    Raises
    ------
    ConfigurationError
        If it is no model that Keras can hold.
    StoreError
        If the month is not published, or without this model.
    IntegrityError
        If weights or card are missing or differ from what was published.
    """
    if model not in EXPLAINED_MODELS:
        raise ConfigurationError(
            f"{model!r} is not a network, so there is no Keras model of it; choose from {', '.join(EXPLAINED_MODELS)}"
        )
    manifest = _manifest(store, month, run_id)
    weights, card = (_named(manifest, model, name) for name in ("weights.safetensors", "card.json"))
    card_body = store.read(card)
    network = Network.from_bytes(store.read(weights))

    from deepfactor.models.export import to_keras_bytes

    return Export(manifest.run_id, to_keras_bytes(network, f"{model}_{month}"), card_body)


def _manifest(store: Store, month: Month, run_id: str | None) -> Manifest:
    if run_id is None:
        return read_manifest(store, month)
    key = Run(month, run_id).key("manifest.json")
    try:
        body = store.get(key)
    except IntegrityError:
        raise StoreError(
            f"run {run_id} has not published {month} in {store.url('')}: name one that has, or leave out --run"
        ) from None
    return Manifest.from_bytes(body, store.url(key))


def _named(manifest: Manifest, model: str, name: str) -> Reference:
    try:
        return manifest.named_objects[f"models/{model}/{name}"]
    except KeyError:
        names = sorted({key.split("/")[1] for key in manifest.named_objects if key.startswith("models/")})
        raise StoreError(
            f"{manifest.month} is published without {name} of {model} (run {manifest.run_id}); its models are "
            f"{', '.join(names)}"
        ) from None


def export_command(
    month: Annotated[str, typer.Option("--month", help="As-of month, written YYYY-MM.")],
    model: Annotated[str, typer.Option(help=f"One of {', '.join(EXPLAINED_MODELS)}.")],
    to: Annotated[
        Path | None, typer.Option(help="File to write, ending in .keras; else MODEL-MONTH.keras.", dir_okay=False)
    ] = None,
    run: Annotated[str | None, typer.Option(help="A run that published the month before it was replaced.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a published network as a file that keras.models.load_model opens, and its card beside it as JSON."""
    with expected_failures():
        as_of = Month.parse(month)
        path = to or Path(f"{model}-{as_of}.keras")
        if path.suffix != ".keras":
            raise typer.BadParameter(f"Keras opens only files that end in .keras, not {path}", param_hint="--to")
        card_path = path.with_suffix(".json")
        there = [str(each) for each in (path, card_path) if os.path.lexists(each)]
        if there and not force:
            raise typer.BadParameter(f"{' and '.join(there)} would be overwritten: pass --force", param_hint="--to")
        with opened_store() as store:
            exported = export_model(store, as_of, model, run)
        try:
            path.write_bytes(exported.keras_file)
            card_path.write_bytes(exported.card)
        except OSError as error:
            raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="--to") from None
        console().print(
            f"{model} of {as_of}, run {exported.run_id}: {path}, and its card, which names the inputs: {card_path}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
