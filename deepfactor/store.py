"""S3-compatible storage in which every write is read back and a month is committed by one conditional put."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from deepfactor.endpoint import CONNECTIONS, connect, explained
from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreError, StoreUnreachable
from deepfactor.objects import Reference, frame_to_bytes, json_to_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")


class Store:
    """A bucket and a prefix in it.

    Every key is relative to the prefix. Bodies are held in memory: the largest is some tens of megabytes.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @classmethod
    def open(
        cls,
        url: str,
        endpoint: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
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

        Raises
        ------
        ConfigurationError
            If the URL is not an S3 URL.
        StoreError
            If the store does not answer, or refuses the credentials or the bucket.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise ConfigurationError(f"the store {url!r} is not of the form s3://bucket/prefix")
        client = connect(endpoint, access_key, secret_key)
        store = cls(client, bucket, prefix)
        store._call("reach", "", lambda: client.head_bucket(Bucket=bucket))
        return store

    def below(self, prefix: str) -> Store:
        """Return the part of the store below a prefix."""
        return Store(self._client, self.bucket, self._full(prefix))

    def put(self, key: str, body: bytes) -> Reference:
        """Write an object and read it back.

        Raises
        ------
        IntegrityError
            If what comes back is not what was written.
        """
        reference = Reference.to(key, body)
        self._call("write", key, lambda: self._client.put_object(Bucket=self.bucket, Key=self._full(key), Body=body))
        self.verify(reference)
        return reference

    def put_immutable(self, key: str, body: bytes) -> Reference:
        """Write an object whose key names its content, unless it is there already."""
        reference = Reference.to(key, body)
        try:
            self.verify(reference)
        except IntegrityError:
            return self.put(key, body)
        return reference

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
        """
        reference = Reference.to(key, body)
        put = partial(self._client.put_object, Bucket=self.bucket, Key=self._full(key), Body=body)
        try:
            if replacing is None:
                self._call("commit", key, lambda: put(IfNoneMatch="*"))
            else:
                self._call("commit", key, lambda: put(IfMatch=replacing))
        except PublicationConflict:
            # A retry after a lost answer meets our own object.
            if self.get(key) != body:
                raise
        self.verify(reference)
        return reference

    def get(self, key: str) -> bytes:
        """Read an object whose checksum is not known.

        Raises
        ------
        IntegrityError
            If there is none.
        """
        return self.get_tagged(key)[0]

    def get_tagged(self, key: str) -> tuple[bytes, str]:
        """Read an object whose checksum is not known, with its entity tag.

        Raises
        ------
        IntegrityError
            If there is none.
        """

        def read() -> tuple[bytes, str]:
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            return answer["Body"].read(), answer["ETag"]

        return self._call("read", key, read)

    def read(self, reference: Reference) -> bytes:
        """Read an object and check it against its reference.

        Raises
        ------
        IntegrityError
            If it is missing or its bytes differ.
        """
        body = self.get(reference.key)
        found = Reference.to(reference.key, body)
        if found != reference:
            raise IntegrityError(
                f"{self.url(reference.key)} is not what was written: expected {reference.size} bytes with SHA-256 "
                f"{reference.sha256}, found {found.size} bytes with {found.sha256}; run the month again"
            )
        return body

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
        try:
            return self._call(
                "look at", key, lambda: self._client.head_object(Bucket=self.bucket, Key=self._full(key))["ETag"]
            )
        except IntegrityError:
            return None

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, sorted."""
        return sorted(self.etags(prefix))

    def etags(self, prefix: str) -> dict[str, str]:
        """Return the entity tags of the objects below a prefix, by key."""

        def read() -> dict[str, str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(prefix)
            )
            return {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", [])}

        start = len(self.prefix) + 1 if self.prefix else 0
        return {key[start:]: tag for key, tag in self._call("list", prefix, read).items()}

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
            self._call("delete", key, lambda: self._client.delete_object(Bucket=self.bucket, Key=self._full(key)))

    def url(self, key: str) -> str:
        """Return the address of an object for people."""
        return f"s3://{self.bucket}/{self._full(key)}"

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _call(self, verb: str, key: str, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except ClientError as error:
            raise explained(error, verb, self.url(key)) from None
        except NoCredentialsError:
            raise StoreError(
                f"no credentials to {verb} {self.url(key)}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or the Airflow connection"
            ) from None
        except BotoCoreError as error:
            raise StoreUnreachable(
                f"cannot {verb} {self.url(key)} at {self._client.meta.endpoint_url}: {error}; "
                "check that the store runs and that the endpoint is right"
            ) from None


def verify_all(store: Store, references: Sequence[Reference]) -> None:
    """Read objects back, several at a time, and compare each with its reference.

    Raises
    ------
    IntegrityError
        Naming the first object that is missing or differs.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(store.verify, references))
