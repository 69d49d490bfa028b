"""A full disk, under the embedded store and under a worker: said clearly, nothing half-published, and it goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from deepfactor.address import StoreAddress
from deepfactor.config import Config
from deepfactor.errors import StoreError
from deepfactor.monthly import run_month
from deepfactor.publication import find_manifest, manifest_key, verify_month
from deepfactor.stack.layout import Layout
from deepfactor.stack.object_store import Endpoint
from deepfactor.stack.ports import choose
from deepfactor.store import Store, verify_all
from tests.conftest import AS_OF
from tests.faults.behind import lasting, remove, remove_runs
from tests.faults.month_process import Runner, steps
from tests.faults.small_disk import DiskEndpoint, NoDisk, SmallDisk
from tests.faults.tally import Tally

pytestmark = pytest.mark.integration

_PORT = 16566
# Of the room that a step takes, so much is left.
_SHARES = (0.0, 0.5, 0.9)


@pytest.fixture(scope="module")
def config(small_config: Config, cases: Callable[[int, int], int]) -> Config:
    """Two models, one of them a network, which takes longest; the short form is content with the other."""
    models = ("linear", "dfm1")[: cases(2, 1)]
    return replace(small_config, models=models, signal_model=models[-1])


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """The disk of the store."""
    layout = Layout(tmp_path_factory.mktemp("small"))
    layout.create()
    disk = _disk(layout.objects, megabytes=64)
    yield disk
    disk.close()


@pytest.fixture(scope="module")
def server(disk: SmallDisk) -> Iterator[DiskEndpoint]:
    """The endpoint whose objects lie on it."""
    server = DiskEndpoint(disk, Layout(disk.folder.parents[1]), choose("the small endpoint", _PORT))
    server.start()
    yield server
    server.kill()


def test_the_emulator_refuses_what_it_cannot_keep(disk: SmallDisk, server: DiskEndpoint) -> None:
    """By itself it answers 200, gives the object back, and has lost it when it is started again."""
    store = server.endpoint.open().below("refused")
    store.put("there", b"before")
    disk.leave(0)
    for key in ("new", "there"):
        with pytest.raises(StoreError, match="InsufficientStorage|disk"):
            store.put(key, b"x" * 100_000)
    for _ in range(2):
        assert store.find("new") is None
        assert store.get("there") == b"before"
        server.kill()
        server.start()
    disk.free()
    store.put("new", b"x" * 100_000)
    remove(store, "new", "there")


def test_the_stores_disk_is_full(
    disk: SmallDisk,
    server: DiskEndpoint,
    config: Config,
    tally: Callable[[str], Tally],
    cases: Callable[[int, int], int],
) -> None:
    store = server.endpoint.open()
    used, last = {}, disk.used()

    def measure(step: str, _seconds: float) -> None:
        nonlocal last
        used[step] = disk.used() - last
        last = disk.used()

    expected = run_month(AS_OF, store, config, after=measure).to_bytes()
    keys = lasting(store)
    first = [("publish", 0.5), ("ingest", 0.9)]
    rest = [each for each in product(steps(config), _SHARES) if each not in first]
    for step, share in [*first, *rest][: cases(len(first + rest), 1)]:
        count = tally(f"the store's disk is full in {step}")
        with count.case(f"{share} of the room is left"):
            remove_runs(store, raw=step == "ingest")
            room = int(share * used[step])
            with pytest.raises(StoreError) as told:
                _run(store, config, disk, step, room)
            assert f"{store.url('')}" in str(told.value)
            assert re.search("disk .*full|InsufficientStorage", str(told.value))
            disk.free()
            before = _state(store, expected)
            server.kill()
            server.start()
            assert _state(store, expected) == before
            assert run_month(AS_OF, store, config, after=_silent).to_bytes() == expected
            assert verify_month(store, AS_OF).to_bytes() == expected
            assert lasting(store) == keys
            count.ended(before)


def test_a_workers_disk_is_full(
    endpoint: Endpoint,
    store: Store,
    config: Config,
    tmp_path: Path,
    raw_tables: object,
    tally: Callable[[str], Tally],
    cases: Callable[[int, int], int],
) -> None:
    """The delivery lies in S3, so that it is fetched to the worker's disk first."""
    assert raw_tables
    assert config.source.folder is not None
    for file in sorted(Path(config.source.folder).rglob("*.*")):
        store.put(f"delivery/{file.relative_to(config.source.folder)}", file.read_bytes())
    source = replace(config.source, folder=store.url("delivery"), simulate=None)
    config = replace(config, source=source)
    scratch = _disk(tmp_path / "scratch", megabytes=64)
    months = store.below("months")
    keys = endpoint.credentials
    address = StoreAddress(months.url("").rstrip("/"), endpoint.url, keys.access_key, keys.secret_key)
    runner = Runner(address, AS_OF, tmp_path, scratch.path)
    try:
        assert runner.run(config).error == ""
        expected = months.get(manifest_key(AS_OF))
        for step in steps(config)[: cases(8, 1)]:
            count = tally(f"a worker's disk is full from {step} on")
            with count.case("no room at all"):
                remove_runs(months, raw=False)
                ending = runner.run(config, full=step)
                if ending.error:
                    assert "room" in ending.error
                    assert str(scratch.path) in ending.error
                    assert find_manifest(months, AS_OF) is None
                    scratch.free()
                    assert runner.run(config).error == ""
                scratch.free()
                assert months.get(manifest_key(AS_OF)) == expected
                verify_month(months, AS_OF)
                count.ended("said where there is no room" if ending.error else "published, it needed no room")
    finally:
        scratch.close()


def _disk(folder: Path, megabytes: int) -> SmallDisk:
    folder.mkdir(exist_ok=True)
    try:
        return SmallDisk(folder, megabytes)
    except NoDisk as error:
        pytest.skip(str(error))


def _run(store: Store, config: Config, disk: SmallDisk, step: str, room: int) -> None:
    """Run the month on a disk that is full when a step begins."""
    order = steps(config)

    def after(done: str, _seconds: float) -> None:
        if order[order.index(done) + 1 :][:1] == (step,):
            disk.leave(room)

    if step == order[0]:
        disk.leave(room)
    run_month(AS_OF, store, config, after=after)


def _state(store: Store, expected: bytes) -> str:
    """Tell what is there, which is whole if it is published."""
    manifest = find_manifest(store, AS_OF)
    if manifest is None:
        return "not published"
    assert manifest.to_bytes() == expected
    verify_all(store, [*manifest.objects, *manifest.inputs])
    return "published"


def _silent(_step: str, _seconds: float) -> None:
    return
