"""A store that can be browsed: what lies directly below a prefix, without walking through everything deeper."""

from __future__ import annotations

from dataclasses import dataclass

from deepfactor.store import Store


@dataclass(frozen=True)
class Folder:
    """What lies directly below a prefix.

    Attributes
    ----------
    entity_tags
        Of the objects, by name.
    folders
        Names of the next level, sorted.
    """

    entity_tags: dict[str, str]
    folders: tuple[str, ...]


class Shelf(Store):
    """A store that is listed one level at a time: 120 months of runs are one answer, not thousands of keys."""

    def folder(self, prefix: str) -> Folder:
        """List one level.

        Parameters
        ----------
        prefix
            Ends with a slash.

        Raises
        ------
        StoreError
            If the store does not answer, or refuses.
        """
        start = len(self._full(prefix))

        def read() -> Folder:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(prefix), Delimiter="/"
            )
            tags: dict[str, str] = {}
            names: list[str] = []
            for page in pages:
                tags |= {each["Key"][start:]: each["ETag"] for each in page.get("Contents", [])}
                names += [each["Prefix"][start:-1] for each in page.get("CommonPrefixes", [])]
            return Folder(tags, tuple(sorted(names)))

        return self._call("list", prefix, read)
