"""The connection to an S3 service, and what its refusals mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreError, StoreUnreachable
from deepfactor.patience import DEFAULT, Patience

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Enough to hide the latency of many small objects without crowding a small endpoint.
CONNECTIONS = 16

# What the client, or the wait for it, raises; botocore lets urllib3's through where the body of a refusal is not whole.
FAILURES = (ClientError, BotoCoreError, ResponseParserError, HTTPError, TimeoutError)

# What to do about an object that is missing or damaged.
REPAIR = "run the month again, or restore it from a copy of the store"

# As the embedded endpoint, Ceph and MinIO say that there is no room.
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})

# Refusals that are none: the same call may be answered a moment later.
_PASSING = frozenset({"RequestTimeout", "SlowDown", "ConditionalRequestConflict", "OperationAborted"})


def connect(
    endpoint: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    patience: Patience = DEFAULT,
) -> S3Client:
    """Return a client that does not retry: who calls it does, because it does not retry the reading of a body.

    Parameters
    ----------
    endpoint
        Address of the S3 service; none: what the usual AWS variables say.
    access_key, secret_key
        Credentials; none: the usual AWS variables and files.
    patience
        How long to wait for a connection and for the next byte.

    Raises
    ------
    ConfigurationError
        If the address holds a user or password.
    """
    options = BotoConfig(
        connect_timeout=patience.connect,
        read_timeout=patience.silence,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path"},
    )
    # A region is needed to sign; services other than AWS ignore which.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        config=options,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
    # It may come from the environment. Messages name it, and S3 knows no other keys than those above.
    if "@" in urlsplit(client.meta.endpoint_url).netloc:
        raise ConfigurationError(
            "the address of the S3 service holds a user or password, which nobody asks for: remove them; keys belong "
            "into the usual AWS variables or the Airflow connection's login and password"
        )
    return client


def explained(error: Exception, verb: str, url: str, endpoint: str) -> StoreError:
    """Turn one of ``FAILURES`` into what says what to do; whether to ask again, its ``retryable`` says."""
    match error:
        case ClientError():
            return _refused(error, verb, url)
        case NoCredentialsError():
            return StoreError(
                f"no credentials to {verb} {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or the Airflow connection"
            )
        case ParamValidationError():
            return StoreError(f"cannot {verb} {url}: {error}; correct the store's address")
    return StoreUnreachable(
        f"cannot {verb} {url} at {endpoint}: {error}; check that the store runs and that the endpoint is right"
    )


def is_missing(error: ClientError) -> bool:
    """Tell whether the service answered that there is no such object."""
    return _status(error) == 404 and _code(error) != "NoSuchBucket"


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _refused(error: ClientError, verb: str, url: str) -> StoreError:
    code, status = _code(error), _status(error)
    if code == "NoSuchBucket" or (verb == "reach" and status == 404):
        return StoreError(f"cannot {verb} {url}: the bucket does not exist; create it or name another")
    if status == 404:
        return IntegrityError(f"cannot {verb} {url}: there is no such object; {REPAIR}")
    if code in _FULL:
        return StoreUnreachable(
            f"cannot {verb} {url}: the store's disk or quota is full ({code}); make room there, and run the month again"
        )
    if code not in _PASSING and status in (409, 412):
        return PublicationConflict(f"cannot {verb} {url}: another writer has been there first")
    if code == "AccessDenied":
        return StoreError(
            f"cannot {verb} {url}: the store refused (AccessDenied); check the credentials, and whether their policy "
            "allows it"
        )
    if code not in _PASSING and status in (400, 401, 403):
        return StoreError(f"cannot {verb} {url}: the store refused the credentials ({code or status}); check them")
    return StoreUnreachable(f"cannot {verb} {url}: the store answered {code or status}; try again later")
