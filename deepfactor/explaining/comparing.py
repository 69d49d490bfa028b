"""What changed since last month's published run."""

from __future__ import annotations

import math

from deepfactor.attribution.change import change
from deepfactor.errors import ConfigurationError, StoreError, StoreUnreachable
from deepfactor.explaining.explanation import Comparison, Movement
from deepfactor.explaining.published import PublishedModel, read_model_month
from deepfactor.explaining.subjects import Subject
from deepfactor.reports.numbers import legible
from deepfactor.store import Store


def compare(store: Store, published: PublishedModel, subject: Subject) -> tuple[Comparison | None, str]:
    """Return what changed since last month; or none, and why it cannot be said.

    Last month's model and inputs are those of the run that is published for it now.

    Raises
    ------
    StoreUnreachable
        If the store does not answer.
    """
    try:
        before = read_model_month(store, published.month + -1, published.model)
        predictions = dict(zip(before.security_ids.tolist(), before.account.prediction.tolist(), strict=True))
    except StoreUnreachable:
        raise
    except (StoreError, ConfigurationError) as error:
        return None, str(error)
    if before.rules != published.rules:
        return None, (
            f"{before.month} was explained by the rules {', '.join(before.rules)}, {published.month} by "
            f"{', '.join(published.rules)}"
        )
    weights = dict(zip(published.security_ids.tolist(), subject.weights.tolist(), strict=True))
    earlier = [weight * predictions[name] for name, weight in weights.items() if weight and name in predictions]
    if not earlier:
        whom = legible(subject.name) if subject.kind == "stock" else f"no stock of {legible(subject.name)}"
        return None, f"{whom} had {'no' if subject.kind == 'stock' else 'a'} prediction in {before.month}"
    found = change(before.cross_section, published.cross_section, subject.weights[None])
    movements = tuple(Movement(**row) for row in found.table().iter_rows(named=True))
    return (
        Comparison(
            month=before.month,
            run_id=before.manifest.run_id,
            before=math.fsum(earlier),
            movements=movements,
            entering=float(found.entering[0]),
            entered=int(found.entered[0]),
        ),
        "",
    )
