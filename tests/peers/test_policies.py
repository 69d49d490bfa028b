"""The policies of deploy/policy, enforced by a real Ceph: who has which rights can do its work, and nothing else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from deepfactor.cli import app
from deepfactor.committing import commit
from deepfactor.config import Config
from deepfactor.errors import StoreError
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.monthly import run_month
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.preservation.publications import read_publication
from deepfactor.preservation.restoration import restore
from deepfactor.publication import Manifest, copy_key, find_manifest, manifest_key, read_month, verify_month
from deepfactor.store import Store
from tests.conftest import AS_OF
from tests.deploy.policies import BUCKET, PREFIX, USERS, filled
from tests.evaluating.made_span import FIRST, publish_span
from tests.peers.peer import Peer

pytestmark = pytest.mark.integration

URL = f"s3://{BUCKET}/{PREFIX}"
# What each call of the code needs.
ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
}


@pytest.fixture(scope="module")
def governed(radosgw: Peer) -> Peer:
    """A Ceph with a bucket that is governed by the policy."""
    client = radosgw.client()
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(filled("bucket")))
    # With BlockPublicAcls, too, Ceph 16 refuses every write of a user who does not own the bucket.
    block = dict.fromkeys(("IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    client.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=block)
    return radosgw


@pytest.fixture(scope="module")
def calls() -> dict[str, set[tuple[str, str]]]:
    """Which actions have been used on what, by user."""
    return defaultdict(set)


@pytest.fixture(scope="module")
def open_as(governed: Peer, calls: dict[str, set[tuple[str, str]]]) -> Callable[[str], Store]:
    """Opens the store as one of the users, and watches what is called."""

    def opened(user: str) -> Store:
        store = governed.open(user, URL)
        calls[user].add((ACTIONS["HeadBucket"], ""))

        def watch(params: dict[str, Any], model: Any, **_: Any) -> None:
            key = params.get("Key", "").removeprefix(f"{PREFIX}/")
            calls[user].add((ACTIONS[model.name], key.partition("/")[0]))

        store._client.meta.events.register("provide-client-params.s3", watch)
        return store

    return opened


@pytest.fixture(scope="module")
def writer(open_as: Callable[[str], Store]) -> Store:
    """The store as the worker has it."""
    return open_as("writer")


@pytest.fixture(scope="module")
def manifest(writer: Store, quick_config: Config) -> Manifest:
    """A month that was published twice with the worker's rights."""
    first = run_month(AS_OF, writer, quick_config, after=lambda *_: None)
    other = replace(first, facts={**first.facts, "published": "again"})
    assert commit(writer, other, replace=True)
    return other


@pytest.fixture(scope="module")
def evaluated(writer: Store) -> None:
    """Months and their evaluation, with the worker's rights."""
    publish_span(writer, FIRST, FIRST + 3)
    evaluate(writer, FIRST, FIRST + 2)


@pytest.fixture(scope="module")
def read(open_as: Callable[[str], Store], manifest: Manifest) -> Store:
    """The store as the reader has it, who has verified and read the month."""
    reader = open_as("reader")
    assert verify_month(reader, AS_OF) == manifest
    assert read_month(reader, AS_OF).signals.height > 0
    return reader


@pytest.fixture(scope="module")
def site(
    open_as: Callable[[str], Store], manifest: Manifest, evaluated: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The pages, each kind of which was drawn."""
    store = open_as("pages")
    folder = tmp_path_factory.mktemp("digests")
    site = Site(Shelf(store._client, store.bucket, store.prefix), folder, "/deep-factor", patience=30.0)
    site.prepare()
    yield site
    site.close()


class TestWriter:
    def test_it_publishes_and_replaces_a_month(self, writer: Store, manifest: Manifest) -> None:
        assert verify_month(writer, AS_OF) == manifest
        assert len(writer.list(f"runs/{AS_OF}/")) > len(manifest.objects)

    def test_it_restores_a_damaged_month(self, writer: Store, governed: Peer, manifest: Manifest) -> None:
        copy = governed.open("owner", f"s3://{BUCKET}/copy")
        for key in (manifest_key(AS_OF), copy_key(manifest), manifest.report.key):
            copy.put(key, writer.get(key))
        writer.put(manifest.report.key, b"damaged")
        publication = read_publication(copy, manifest_key(AS_OF))
        assert restore(copy, writer, publication) == [manifest.report.key]
        verify_month(writer, AS_OF)

    def test_it_deletes_nothing_but_probes(self, governed: Peer, writer: Store, manifest: Manifest) -> None:
        client = governed.client("writer")
        for key in (manifest_key(AS_OF), manifest.report.key, manifest.inputs[0].key):
            refused(client.delete_object, Bucket=BUCKET, Key=f"{PREFIX}/{key}")
        several = {"Objects": [{"Key": f"{PREFIX}/{manifest_key(AS_OF)}"}]}
        answer = deleted_several(client, several)
        assert [each["Code"] for each in answer] == ["AccessDenied"]
        assert find_manifest(writer, AS_OF) == manifest

    def test_it_writes_nothing_beside_its_prefix(self, governed: Peer) -> None:
        for url in (f"s3://{BUCKET}", f"s3://{BUCKET}/research", f"s3://{BUCKET}/{PREFIX}-other"):
            beside = governed.open("writer", url)
            with pytest.raises(StoreError, match=r"cannot write s3://governed/.*note: the store refused"):
                beside.put("note", b"")

    def test_it_changes_no_rule(self, governed: Peer, manifest: Manifest) -> None:
        for call in rules(governed.client("writer"), f"{PREFIX}/{manifest.report.key}"):
            refused(call)

    def test_it_gives_nothing_away(self, governed: Peer) -> None:
        """An object belongs to who wrote it, who could let everybody read it, if that were not ignored."""
        client, where = governed.client("writer"), {"Bucket": BUCKET, "Key": f"{PREFIX}/given"}
        client.put_object(**where, Body=b"away", ACL="public-read")
        refused(anonymous(governed).get_object, **where)
        refused(client.put_object_acl, **where, ACL="public-read")


class TestReader:
    @pytest.mark.parametrize(
        "command",
        [("verify", "--month", str(AS_OF)), ("verify", "--all"), ("show", "--month", str(AS_OF)), ("gc", "--dry-run")],
    )
    @pytest.mark.usefixtures("manifest")
    def test_commands_that_write_nothing(
        self, governed: Peer, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv("DEEPFACTOR_STORE", URL)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", governed.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", governed.users["reader"].access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", governed.users["reader"].secret_key)
        result = CliRunner().invoke(app, list(command), catch_exceptions=False)
        assert result.exit_code == 0, result.output

    @pytest.mark.usefixtures("read")
    def test_it_reads_and_writes_nothing(self, governed: Peer, manifest: Manifest) -> None:
        reader = governed.open("reader", URL)
        for write in (
            lambda: reader.put(manifest.report.key, b"mine"),
            lambda: reader.commit("manifests/2016-03.json", b"{}"),
            lambda: reader.commit(manifest_key(AS_OF), b"{}", replacing=reader.etag(manifest_key(AS_OF))),
            reader.honours_conditions,
        ):
            with pytest.raises(StoreError, match=rf"cannot \w+ {URL}/\S+: the store refused"):
                write()
        client = governed.client("reader")
        refused(client.delete_object, Bucket=BUCKET, Key=f"{PREFIX}/{manifest_key(AS_OF)}")
        refused(client.delete_object, Bucket=BUCKET, Key=f"{PREFIX}/probes/1")
        verify_month(reader, AS_OF)

    def test_it_changes_no_rule(self, governed: Peer, manifest: Manifest) -> None:
        for call in rules(governed.client("reader"), f"{PREFIX}/{manifest.report.key}"):
            refused(call)


class TestPages:
    def test_they_show_the_month(self, site: Site, manifest: Manifest) -> None:
        assert str(AS_OF) in site.overview().body.decode()
        assert manifest.report.key.rpartition("/")[2] in site.month(str(AS_OF)).body.decode()

    def test_what_the_vendor_delivered_is_not_theirs(self, governed: Peer, manifest: Manifest) -> None:
        pages = governed.open("pages", URL)
        with pytest.raises(StoreError, match=rf"cannot read {URL}/raw/\S+: the store refused"):
            pages.read(manifest.inputs[0])
        with pytest.raises(StoreError, match=rf"cannot write {URL}/runs/1: the store refused"):
            pages.put("runs/1", b"")
        refused(governed.client("pages").delete_object, Bucket=BUCKET, Key=f"{PREFIX}/probes/1")


class TestOthers:
    def test_a_known_key_without_rights(self, governed: Peer) -> None:
        with pytest.raises(StoreError, match=rf"cannot reach s3://{BUCKET}/\S*: the store refused"):
            governed.open("stranger", URL)

    def test_nobody(self, governed: Peer, manifest: Manifest) -> None:
        client = anonymous(governed)
        key = f"{PREFIX}/{manifest.report.key}"
        refused(client.get_object, Bucket=BUCKET, Key=key)
        refused(client.put_object, Bucket=BUCKET, Key=key, Body=b"")
        refused(client.list_objects_v2, Bucket=BUCKET)
        for call in rules(client, key):
            refused(call)


@pytest.mark.usefixtures("manifest", "evaluated", "read", "site")
class TestNothingTooMuch:
    """Every right of a policy is one that was used above."""

    @pytest.mark.parametrize("user", USERS)
    def test_what_is_allowed_is_what_is_called(self, user: str, calls: dict[str, set[tuple[str, str]]]) -> None:
        allowed = {each for statement in filled(user)["Statement"] for each in granted(statement)}
        used = calls[user]
        assert {action for action, _ in used} == {action for action, _ in allowed}
        for action, area in allowed:
            assert not area or (action, area) in used, f"{user} needs no {action} below {area}"


def granted(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the actions that a statement allows, and the first folder below the prefix that it is bound to."""
    if statement["Effect"] != "Allow":
        return
    actions, resources = (
        [each] if isinstance(each, str) else each for each in (statement["Action"], statement["Resource"])
    )
    for resource in resources:
        found = re.fullmatch(rf"arn:aws:s3:::{BUCKET}(?:/{PREFIX}/(?:(\w+)/)?\*)?", resource)
        assert found, resource
        yield from ((action, found[1] or "") for action in actions)


def anonymous(peer: Peer) -> Any:
    """Return a client without a key."""
    options = BotoConfig(signature_version=UNSIGNED, s3={"addressing_style": "path"})
    session = boto3.session.Session()
    return session.client("s3", endpoint_url=peer.url, region_name="us-east-1", config=options)


def refused(call: Callable[..., Any], **arguments: Any) -> None:
    """Make a call that must be refused."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403, raised.value


def deleted_several(client: Any, several: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for several objects to be deleted at once; returns what was refused."""
    try:
        errors: list[dict[str, Any]] = client.delete_objects(Bucket=BUCKET, Delete=several).get("Errors", [])
    except ClientError as error:
        return [error.response["Error"]]
    return errors


def rules(client: Any, key: str) -> list[Callable[[], Any]]:
    """Return calls that change who may do what, or let the service delete by itself."""
    everybody = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*"}]}
    everybody["Statement"][0]["Resource"] = f"arn:aws:s3:::{BUCKET}/*"
    expire = {"Rules": [{"ID": "all", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]}
    return [
        lambda: client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(everybody)),
        lambda: client.get_bucket_policy(Bucket=BUCKET),
        lambda: client.delete_bucket_policy(Bucket=BUCKET),
        lambda: client.put_bucket_acl(Bucket=BUCKET, ACL="public-read-write"),
        lambda: client.put_object_acl(Bucket=BUCKET, Key=key, ACL="public-read"),
        lambda: client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=expire),
        lambda: client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}),
        lambda: client.delete_bucket(Bucket=BUCKET),
    ]
