"""Matrix products that give the same bits wherever they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy and SciPy multiply matrices on one core: on two they sum up in another order, as measured.

    It holds for the whole process; call it after the imports, for it knows only the libraries that are loaded.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
