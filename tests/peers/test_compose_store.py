"""The store of docker-compose.yaml: SeaweedFS with its identities, and the policy that ``airflow-init`` gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deepfactor.config import Config
from deepfactor.errors import StoreError
from deepfactor.monthly import run_month
from deepfactor.publication import Manifest, manifest_key, read_month, verify_month
from deepfactor.store import Store
from deploy.compose.init import govern, make_buckets
from tests.conftest import AS_OF
from tests.peers.peer import BUCKET, Peer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def writer(seaweedfs: Peer) -> Store:
    """The store as a worker has it."""
    return seaweedfs.open("writer")


@pytest.fixture(scope="module")
def manifest(writer: Store, quick_config: Config) -> Manifest:
    """A month that a worker has published."""
    return run_month(AS_OF, writer, quick_config, after=lambda *_: None)


def test_a_worker_publishes_a_month(writer: Store, manifest: Manifest) -> None:
    assert verify_month(writer, AS_OF) == manifest
    assert read_month(writer, AS_OF).signals.height > 0


def test_the_probe_that_airflow_init_makes(writer: Store) -> None:
    assert writer.honours_conditions()
    assert writer.list("probes/") == []


def test_a_worker_deletes_nothing_and_changes_no_rule(seaweedfs: Peer, writer: Store, manifest: Manifest) -> None:
    client = seaweedfs.client("writer")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    for key in (manifest_key(AS_OF), manifest.report.key, manifest.inputs[0].key):
        _refused(partial(client.delete_object, Bucket=BUCKET, Key=key))
    _refused(lambda: client.put_bucket_policy(Bucket=BUCKET, Policy=policy))
    _refused(lambda: client.delete_bucket_policy(Bucket=BUCKET))
    _refused(lambda: client.delete_bucket(Bucket=BUCKET))
    _refused(lambda: client.create_bucket(Bucket="another"))
    answer = client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": manifest_key(AS_OF)}]})
    assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]
    assert verify_month(writer, AS_OF) == manifest


def test_nobody_else_comes_in(seaweedfs: Peer) -> None:
    with pytest.raises(StoreError, match="the store refused"):
        seaweedfs.open("stranger")


def test_again_it_changes_nothing(seaweedfs: Peer, writer: Store, manifest: Manifest) -> None:
    owner = seaweedfs.client()
    before = owner.get_bucket_policy(Bucket=BUCKET)["Policy"]
    make_buckets(owner, [BUCKET])
    govern(owner, BUCKET)
    assert owner.get_bucket_policy(Bucket=BUCKET)["Policy"] == before
    assert verify_month(writer, AS_OF) == manifest


def _refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ClientError) as raised:
        call()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, raised.value
