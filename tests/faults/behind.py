"""What happens to a store behind the back of whoever publishes in it."""

from __future__ import annotations

from deepfactor.store import Store


def overwrite(store: Store, key: str, body: bytes) -> None:
    """Write past every check."""
    store._client.put_object(Bucket=store.bucket, Key=store._full(key), Body=body)


def remove(store: Store, *keys: str) -> None:
    """Delete objects."""
    for start in range(0, len(keys), 1000):
        store._client.delete_objects(
            Bucket=store.bucket, Delete={"Objects": [{"Key": store._full(key)} for key in keys[start : start + 1000]]}
        )


def remove_runs(store: Store, *, raw: bool) -> None:
    """Delete what runs have made, and if so wished the raw tables too."""
    remove(store, *(key for key in store.list("") if raw or not key.startswith("raw/")))


def lasting(store: Store) -> list[str]:
    """Return what is there to stay; whoever is killed while he probes the store leaves the probe, which gc lists."""
    return [key for key in store.list("") if not key.startswith("probes/")]
