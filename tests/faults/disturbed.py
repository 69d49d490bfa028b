"""A month that is computed before a store that answers wrongly, and what must be there after."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deepfactor.config import Config
from deepfactor.errors import DeepfactorError
from deepfactor.monthly import run_month
from deepfactor.publication import manifest_key, read_manifest, verify_month
from deepfactor.store import Store, verify_all
from tests.conftest import AS_OF
from tests.faults.plan import Call, Plan
from tests.faults.proxy import Proxy

LOGGER = logging.getLogger(__name__)

# What no manifest names and is never the same twice.
_OTHERS = ("/measured.json", "probes/")


@dataclass(frozen=True)
class Undisturbed:
    """A month as it is published when nothing goes wrong.

    Attributes
    ----------
    bodies
        Every object of the store by key.
    after
        The keys that are there after each step.
    """

    bodies: Mapping[str, bytes]
    after: Mapping[str, frozenset[str]]

    def prepare(self, store: Store, step: str | None) -> None:
        """Bring a store into the state after a step; None: empty."""
        wanted = self.after[step] if step is not None else frozenset[str]()
        tags = store.etags("")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store._calls.delete(store._full(key)), tags.keys() - wanted))
            stale = [key for key in wanted if tags.get(key) != _tag(self.bodies[key])]
            list(pool.map(lambda key: store.put(key, self.bodies[key]), stale))

    def check_published(self, store: Store) -> None:
        """Require the same month, byte for byte, and every object whole."""
        expected = {key: _tag(body) for key, body in self.bodies.items() if not _is_other(key)}
        found = {key: tag for key, tag in store.etags("").items() if not _is_other(key)}
        differing = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
        assert not differing, f"not as in an undisturbed month: {differing[:5]}"
        verify_month(store, AS_OF)

    def check_not_half(self, store: Store) -> None:
        """Require that a manifest is there only if it is the right one, and all that it names."""
        found = store.find(manifest_key(AS_OF))
        if found is not None:
            assert found[0] == self.bodies[manifest_key(AS_OF)]
            manifest = read_manifest(store, AS_OF)
            verify_all(store, [*manifest.objects, *manifest.inputs])


def undisturbed(store: Store, config: Config) -> Undisturbed:
    """Publish a month and note what is there after each step."""
    after: dict[str, frozenset[str]] = {}
    run_month(AS_OF, store, config, after=lambda step, _: after.update({step: frozenset(store.list(""))}))
    return Undisturbed({key: store.get(key) for key in store.list("")}, after)


@dataclass(frozen=True)
class Disturbance:
    """A month of which some steps are done, and what the store does wrong in the others.

    Attributes
    ----------
    expected
        What must come of it.
    config
        Its configuration.
    real
        The store.
    wrong
        The same through the proxy.
    limit
        Seconds within which the disturbed month has to end.
    """

    expected: Undisturbed
    config: Config
    real: Store
    wrong: Store
    limit: float

    def run(self, proxy: Proxy, done: str | None, plan: Plan) -> str:
        """Run the month with faults after a step and, if it fails, again without; return how the first run ended."""
        self.expected.prepare(self.real, done)
        proxy.begin(plan if done is None else Plan())
        started = time.monotonic()
        try:
            run_month(AS_OF, self.wrong, self.config, after=lambda step, _: proxy.begin(plan) if step == done else None)
            outcome = "published" if proxy.caused else "not met"
        except DeepfactorError as error:
            outcome = f"failed clearly ({type(error).__name__})"
            LOGGER.info("%s", error)
            assert "s3://" in str(error) or "run " in str(error), f"it does not say where: {error}"
        finally:
            proxy.heal()
        seconds = time.monotonic() - started
        assert seconds < self.limit, f"it took {seconds:.0f} s"
        if outcome.startswith("failed"):
            self.expected.check_not_half(self.real)
            run_month(AS_OF, self.real, self.config, after=lambda *_: None)
        self.expected.check_published(self.real)
        return outcome

    def calls(self, proxy: Proxy, done: str | None) -> Iterator[tuple[str, list[Call]]]:
        """Return what each step that is not done asks of the store."""
        self.expected.prepare(self.real, done)
        steps: dict[str, list[Call]] = {}
        proxy.begin(Plan())

        def after(step: str, _: float) -> None:
            steps[step] = proxy.calls.copy()
            proxy.begin(Plan())

        run_month(AS_OF, self.wrong, self.config, after=after)
        names = list(steps)
        for step in names[names.index(done) + 1 if done is not None else 0 :]:
            yield step, steps[step]


def _is_other(key: str) -> bool:
    return any(each in key for each in _OTHERS)


def _tag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
