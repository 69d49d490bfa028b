"""The connection to an S3 service, and what its refusals mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from deepfactor.errors import IntegrityError, PublicationConflict, StoreError, StoreUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Enough to hide the latency of many small objects without crowding a small endpoint.
CONNECTIONS = 16


def connect(endpoint: str | None = None, access_key: str | None = None, secret_key: str | None = None) -> S3Client:
    """Return a client that retries, and never waits without a limit.

    Parameters
    ----------
    endpoint
        Address of the S3 service; none: what the usual AWS variables say.
    access_key, secret_key
        Credentials; none: the usual AWS variables and files.
    """
    options = BotoConfig(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path"},
    )
    # A region is needed to sign; services other than AWS ignore which.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        config=options,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def explained(error: ClientError, verb: str, url: str) -> StoreError:
    """Turn the service's answer into one that says what to do."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" or (verb == "reach" and status == 404):
        return StoreError(f"cannot {verb} {url}: the bucket does not exist; create it or name another")
    if status == 404:
        return IntegrityError(f"cannot {verb} {url}: there is no such object")
    if status in (409, 412):
        return PublicationConflict(f"cannot {verb} {url}: another writer has been there first")
    if status in (400, 401, 403):
        return StoreError(f"cannot {verb} {url}: the store refused the credentials ({code or status}); check them")
    return StoreUnreachable(f"cannot {verb} {url}: the store answered {code or status}; try again later")
