"""S3-compatible storage in which every write is read back and a month is committed by one conditional put."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as with_fields
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from deepfactor.calls import Calls
from deepfactor.endpoint import CONNECTIONS, REPAIR, connect
from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreUnreachable, WriteLost
from deepfactor.objects import Reference, frame_to_bytes, json_to_bytes
from deepfactor.patience import DEFAULT, Patience

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_T = TypeVar("_T")


class Store:
    """A bucket and a prefix in it.

    Every key is relative to the prefix. Bodies are held in memory: the largest is some tens of megabytes.

    What the store answers is not trusted. A call that is not answered, not in time or not wholly, is made again, and
    so is a read that brings other bytes than were written, and a write that cannot be read back; a few times, then it
    fails. Every call may be made twice: the same key is written with the same bytes, or conditionally.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", patience: Patience = DEFAULT) -> None:
        self._client = client
        self._calls = Calls(client, bucket, patience)
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @classmethod
    def open(
        cls,
        url: str,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        patience: Patience = DEFAULT,
    ) -> Store:
        """Connect to ``s3://bucket/prefix``.

        Parameters
        ----------
        url
            Bucket and prefix; the bucket must exist.
        endpoint
            Address of the S3 service; none: what the usual AWS variables say.
        access_key, secret_key
            Credentials; none: the usual AWS variables and files.
        patience
            How long to wait for an answer, and how often to ask again.

        Raises
        ------
        ConfigurationError
            If the URL is not an S3 URL.
        StoreError
            If the store does not answer, or refuses the credentials or the bucket.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if "@" in rest:
            # What stands before it may be a password, so nothing is repeated.
            raise ConfigurationError(
                "the store's URL holds a user or password: write it as s3://bucket/prefix, and put the keys into the "
                "usual AWS variables or the Airflow connection"
            )
        if scheme != "s3" or not bucket:
            raise ConfigurationError(f"the store {url!r} is not of the form s3://bucket/prefix")
        client = connect(endpoint, access_key, secret_key, patience)
        store = cls(client, bucket, prefix, patience)
        store._calls.reach()
        return store

    def below(self, prefix: str) -> Store:
        """Return the part of the store below a prefix."""
        return Store(self._client, self.bucket, self._full(prefix), self._calls.patience)

    def put(self, key: str, body: bytes) -> Reference:
        """Write an object and read it back.

        Raises
        ------
        WriteLost
            If the store accepts it again and again, and what comes back is not what was written.
        """
        reference = Reference.to(key, body)
        for _ in self._calls.patience.rounds():
            self._calls.write(self._full(key), body, reference.sha256)
            if self.holds(reference):
                return reference
        raise self._lost(key)

    def put_immutable(self, key: str, body: bytes) -> Reference:
        """Write an object whose key names its content, unless it is there already."""
        reference = Reference.to(key, body)
        return reference if self.holds(reference) else self.put(key, body)

    def put_frame(self, key: str, frame: pl.DataFrame) -> Reference:
        """Write a frame as Parquet; the same frame gives the same bytes."""
        return self.put(key, frame_to_bytes(frame))

    def put_json(self, key: str, content: Any) -> Reference:
        """Write JSON with sorted keys, so that the same content gives the same bytes."""
        return self.put(key, json_to_bytes(content))

    def commit(self, key: str, body: bytes, replacing: str | None = None) -> Reference:
        """Write an object only if nobody else has, as the last step of a publication.

        Parameters
        ----------
        key
            Where to write.
        body
            What to write.
        replacing
            Entity tag, from :meth:`etag`, of the object that may be replaced; none: no object may be there.

        Raises
        ------
        PublicationConflict
            If an object is there, or is no longer the one that may be replaced.
        WriteLost
            If the store accepts it again and again, and it is not there.
        StoreUnreachable
            If the store refuses it for the sake of another that it does not show.
        """
        reference = Reference.to(key, body)
        # Ceph compares what it is sent with the tag without its quotes; the others take it with and without.
        condition = {"IfNoneMatch": "*"} if replacing is None else {"IfMatch": replacing.strip('"')}
        refused: PublicationConflict | None = None
        for _ in self._calls.patience.rounds():
            try:
                self._calls.write(self._full(key), body, reference.sha256, **condition)
                refused = None
            except PublicationConflict as conflict:
                refused = conflict
            there, tag = self.find(key) or (None, None)
            # It may have been refused and be there: a retry after a lost answer meets our own object.
            if there == body:
                return reference
            # What may be replaced is no reason to refuse: then this read tells of the past.
            if refused is not None and tag != replacing:
                raise refused
        if refused is None:
            raise self._lost(key)
        raise StoreUnreachable(
            f"cannot commit {self.url(key)}: the store refuses it because of another writer, and shows nothing that "
            "another has written; run the month again later"
        )

    def get(self, key: str) -> bytes:
        """Read an object whose checksum is not known.

        Raises
        ------
        IntegrityError
            If there is none, or its bytes are not those that were written.
        """
        return self.get_tagged(key)[0]

    def get_tagged(self, key: str) -> tuple[bytes, str]:
        """Read an object whose checksum is not known, with its entity tag.

        Raises
        ------
        IntegrityError
            If there is none, or its bytes are not those that were written.
        """
        found = self.find(key)
        if found is None:
            raise self._missing(key)
        return found

    def find(self, key: str) -> tuple[bytes, str] | None:
        """Read an object whose checksum is not known, with its entity tag; none if there is no object.

        Raises
        ------
        IntegrityError
            If its bytes are not those that were written.
        """
        found = self._calls.read(self._full(key))
        return None if found is None else (found.body, found.tag)

    def read(self, reference: Reference) -> bytes:
        """Read an object and check it against its reference.

        Raises
        ------
        IntegrityError
            If it is missing or its bytes differ.
        """
        found = self._calls.read(self._full(reference.key), reference)
        if found is None:
            raise self._missing(reference.key)
        return found.body

    def holds(self, reference: Reference) -> bool:
        """Tell whether an object is there and its bytes are those of the reference."""
        try:
            found = self._calls.read(self._full(reference.key))
        except IntegrityError:
            return False
        return found is not None and with_fields(found.reference, key=reference.key) == reference

    def read_frame(self, reference: Reference) -> pl.DataFrame:
        """Read a Parquet object and check it against its reference."""
        return pl.read_parquet(BytesIO(self.read(reference)))

    def read_json(self, reference: Reference) -> Any:
        """Read a JSON object and check it against its reference."""
        return json.loads(self.read(reference))

    def read_frames(self, references: Sequence[Reference]) -> list[pl.DataFrame]:
        """Read many Parquet objects at once, in order."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(self.read_frame, references))

    def put_many(self, objects: Iterable[tuple[str, bytes]]) -> list[Reference]:
        """Write many objects at once, in order, and read each back."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(lambda each: self.put(*each), objects))

    def verify(self, reference: Reference) -> None:
        """Read an object back and compare it with its reference."""
        self.read(reference)

    def exists(self, key: str) -> bool:
        """Tell whether an object is there."""
        return self.etag(key) is not None

    def etag(self, key: str) -> str | None:
        """Return the entity tag of an object, none if there is no object."""
        return self._calls.tag(self._full(key))

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, sorted."""
        return sorted(self.etags(prefix))

    def etags(self, prefix: str) -> dict[str, str]:
        """Return the entity tags of the objects below a prefix, by key."""
        start = len(self.prefix) + 1 if self.prefix else 0
        return {key[start:]: tag for key, tag in self._calls.tags(self._full(prefix)).items()}

    def honours_conditions(self) -> bool:
        """Probe whether the endpoint refuses a conditional write whose condition does not hold.

        Some endpoints ignore the condition silently; there, two publishers can overwrite each other.
        """
        key = f"probes/{secrets.token_hex(8)}"
        try:
            self.commit(key, b"first")
            try:
                self.commit(key, b"second")
            except PublicationConflict:
                return True
            return False
        finally:
            self._calls.delete(self._full(key))

    def url(self, key: str) -> str:
        """Return the address of an object for people."""
        return self._calls.url(self._full(key))

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _call(self, verb: str, key: str, action: Callable[[], _T]) -> _T:
        return self._calls.make(verb, self._full(key), action)

    def _missing(self, key: str) -> IntegrityError:
        return IntegrityError(f"cannot read {self.url(key)}: there is no such object; {REPAIR}")

    def _lost(self, key: str) -> WriteLost:
        return WriteLost(
            f"{self.url(key)} was written {self._calls.patience.attempts} times, and what comes back is something "
            "else or nothing: the store accepts writes and loses them, most likely because its disk or quota is full; "
            "make room there, and run the month again"
        )


def verify_all(store: Store, references: Sequence[Reference]) -> None:
    """Read objects back, several at a time, and compare each with its reference.

    Raises
    ------
    IntegrityError
        Naming the first object that is missing or differs.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(store.verify, references))
