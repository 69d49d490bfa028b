"""The services that the store is held against; each is started when a test first asks for it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deepfactor.config import Config
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from deploy.compose.init import govern, make_buckets
from tests.peers.ceph import running_ceph
from tests.peers.peer import BUCKET, Peer, User
from tests.peers.seaweedfs import running_seaweedfs

USERS = ("owner", "writer", "reader", "pages", "stranger")


def _first_port(first: int) -> int:
    """Return a port in a range of this worker's own."""
    return first + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def embedded(endpoint: Endpoint) -> Peer:
    """The endpoint of the embedded stack."""
    keys = endpoint.credentials
    owner = User(keys.access_key, keys.secret_key)
    return Peer("embedded", endpoint.url, {"owner": owner}, checks_secrets=False)


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A real Ceph."""
    with running_ceph(tmp_path_factory.mktemp("ceph"), _first_port(16800), USERS) as peer:
        peer.client().create_bucket(Bucket=BUCKET)
        yield peer


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """SeaweedFS with the identities of docker-compose.yaml, its bucket prepared as ``airflow-init`` prepares it."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs"), _first_port(18300)) as peer:
        make_buckets(peer.client(), [BUCKET])
        govern(peer.client(), BUCKET)
        yield peer


@pytest.fixture(scope="session", params=["embedded", "radosgw", "seaweedfs"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of the services."""
    started: Peer = request.getfixturevalue(request.param)
    return started


@pytest.fixture(scope="session")
def peer_bucket(peer: Peer) -> Store:
    """The service's bucket."""
    return peer.open()


@pytest.fixture
def empty(peer_bucket: Store) -> Store:
    """An empty store of the test's own."""
    return peer_bucket.below(secrets.token_hex(6))


@pytest.fixture(scope="session")
def quick_config(small_config: Config) -> Config:
    """The small market's configuration, with the model that is trained at once."""
    return replace(small_config, models=("linear",), signal_model="linear")
