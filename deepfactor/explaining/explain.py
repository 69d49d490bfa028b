"""From a published month to an explanation."""

from __future__ import annotations

from deepfactor.explaining.comparing import compare
from deepfactor.explaining.drivers import drivers
from deepfactor.explaining.explanation import Explanation
from deepfactor.explaining.parts import parts_of
from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.subjects import Subject
from deepfactor.models.blas import one_thread
from deepfactor.store import Store


def explain(store: Store, published: PublishedModel, subject: Subject) -> Explanation:
    """Explain the prediction of a stock or a portfolio.

    Parameters
    ----------
    store
        Where the month is published, and where last month is looked for.
    published, subject
        The month's model, and the stock or portfolio of it.

    Raises
    ------
    IntegrityError
        If what was published does not fit together, or is not what its weights give.
    StoreUnreachable
        If the store does not answer.
    """
    # What BLAS gives depends on the number of its threads.
    with one_thread():
        parts = parts_of(published, subject)
        comparison, incomparable = compare(store, published, subject)
        signal = published.signals.row(int(subject.weights.argmax()), named=True) if subject.kind == "stock" else {}
        return Explanation(
            month=published.month,
            model=published.model,
            run_id=published.manifest.run_id,
            rules=published.rules,
            members=published.cross_section.network.members,
            kind=subject.kind,
            name=subject.name,
            stocks=subject.stocks,
            weights_sum=float(subject.weights.sum()),
            stocks_in_month=published.signals.height,
            prediction=parts.prediction.contribution,
            dispersion=parts.prediction.dispersion,
            rank=signal.get("rank"),
            quintile=signal.get("quintile"),
            factors=parts.factors,
            descriptors=parts.descriptors,
            remainders=parts.remainders,
            drivers=drivers(store, published, subject),
            comparison=comparison,
            incomparable=incomparable,
        )
