"""The calls to a bucket, each made again until it is answered or asking again does not help."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError, FlexibleChecksumError

from deepfactor.endpoint import FAILURES, REPAIR, explained, is_missing
from deepfactor.errors import IntegrityError, StoreError, StoreUnreachable
from deepfactor.objects import Reference
from deepfactor.patience import Patience

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")

# Kept beside an object, so that also one whose reference is not known is read again if it was damaged on its way.
_CHECKSUM = "sha256"


class Found(NamedTuple):
    """An object that was read.

    Attributes
    ----------
    body
        Its bytes.
    tag
        Its entity tag.
    reference
        What it is.
    """

    body: bytes
    tag: str
    reference: Reference


class Calls:
    """The calls to one bucket.

    What is not answered, not in time or not wholly, is asked again, and so is a read that brings other bytes than were
    written; at most as often as the patience says.
    """

    def __init__(self, client: S3Client, bucket: str, patience: Patience) -> None:
        """Make no call yet.

        Parameters
        ----------
        client
            What :func:`deepfactor.endpoint.connect` returns.
        bucket
            The bucket's name.
        patience
            How long to wait for an answer, and how often to ask again.
        """
        self._client = client
        self._bucket = bucket
        self.patience = patience

    def url(self, key: str) -> str:
        """Return the address of an object for people."""
        return f"s3://{self._bucket}/{key}"

    def reach(self) -> None:
        """Look whether the bucket is there."""
        self.make("reach", "", lambda: self._client.head_bucket(Bucket=self._bucket))

    def write(self, key: str, body: bytes, sha256: str, **condition: Any) -> None:
        """Write an object.

        Parameters
        ----------
        key
            Where.
        body, sha256
            What, and its checksum.
        condition
            ``IfNoneMatch`` or ``IfMatch``, as boto3 takes them.

        Raises
        ------
        PublicationConflict
            If the condition does not hold.
        """
        kept = {_CHECKSUM: sha256}
        self.make(
            "write",
            key,
            lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=kept, **condition),
        )

    def read(self, key: str, expected: Reference | None = None) -> Found | None:
        """Read an object; none if there is no object.

        Parameters
        ----------
        key
            Which.
        expected
            What it must be, whatever its key; none: what the checksum says that was kept beside it, if one was.

        Raises
        ------
        IntegrityError
            If its bytes are not those that were written.
        """
        return self.make("read", key, lambda: self._read(key, expected))

    def tag(self, key: str) -> str | None:
        """Return the entity tag of an object, none if there is no object."""

        def look() -> str | None:
            try:
                return self._tag(key, self._client.head_object(Bucket=self._bucket, Key=key))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

        return self.make("look at", key, look)

    def tags(self, prefix: str) -> dict[str, str]:
        """Return the entity tags of the objects below a prefix, by key."""

        def read() -> dict[str, str]:
            tags: dict[str, str] = {}
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                if "Name" not in page:
                    raise self._no_store(prefix)
                tags |= {each["Key"]: each["ETag"] for each in page.get("Contents", [])}
            return tags

        return self.make("list", prefix, read)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.make("delete", key, lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def make(self, verb: str, key: str, action: Callable[[], _T]) -> _T:
        """Make a call until it succeeds or asking again does not help.

        Parameters
        ----------
        verb, key
            What is done to which object, for the message.
        action
            Does it with the client; what it raises as a StoreError is raised if no other attempt succeeds.

        Raises
        ------
        StoreError
            If the store does not answer, or refuses.
        """
        failures: list[StoreError] = []
        for _ in self.patience.rounds():
            try:
                return self.patience.within(action)
            except StoreError as error:
                failures.append(error)
            except FAILURES as error:
                failures.append(explained(error, verb, self.url(key), self._client.meta.endpoint_url))
                if not failures[-1].retryable:
                    break
            LOGGER.warning("attempt %d: %s", len(failures), failures[-1])
        raise failures[-1] from None

    def _read(self, key: str, expected: Reference | None) -> Found | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            body, tag = answer["Body"].read(), self._tag(key, answer)
        except FlexibleChecksumError as error:
            raise IntegrityError(f"{self.url(key)} is not what was written: {error}; {REPAIR}") from None
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        there = Reference.to(key, body)
        sha256 = expected.sha256 if expected is not None else answer["Metadata"].get(_CHECKSUM, there.sha256)
        size = expected.size if expected is not None else there.size
        if (size, sha256) != (there.size, there.sha256):
            raise IntegrityError(
                f"{self.url(key)} is not what was written: expected {size} bytes with SHA-256 {sha256}, "
                f"found {there.size} bytes with {there.sha256}; {REPAIR}"
            )
        return Found(body, tag, there)

    def _tag(self, key: str, answer: Any) -> str:
        if "ETag" not in answer:
            raise self._no_store(key)
        tag: str = answer["ETag"]
        return tag

    def _no_store(self, key: str) -> StoreUnreachable:
        return StoreUnreachable(
            f"cannot read {self.url(key)} at {self._client.meta.endpoint_url}: what answers is no S3 service; "
            "check that the store runs and that the endpoint is right"
        )
