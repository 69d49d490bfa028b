from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from deepfactor.endpoint import explained, is_missing
from deepfactor.errors import IntegrityError, PublicationConflict, StoreError, StoreUnreachable

URL = "s3://bucket/key"
ENDPOINT = "http://127.0.0.1:1"


def _refusal(status: int, code: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")  # type: ignore[typeddict-item]  # the rest is not looked at


@pytest.mark.parametrize(
    ("status", "code", "kind", "message"),
    [
        (404, "NoSuchKey", IntegrityError, "there is no such object; run the month again, or restore it"),
        (404, "NoSuchBucket", StoreError, "the bucket does not exist; create it or name another"),
        (412, "PreconditionFailed", PublicationConflict, "another writer has been there first"),
        (409, "Conflict", PublicationConflict, "another writer has been there first"),
        (409, "ConditionalRequestConflict", StoreUnreachable, "the store answered .*; try again later"),
        (409, "OperationAborted", StoreUnreachable, "the store answered .*; try again later"),
        (400, "RequestTimeout", StoreUnreachable, "the store answered RequestTimeout; try again later"),
        (403, "SignatureDoesNotMatch", StoreError, r"the store refused the credentials \(SignatureDoesNotMatch\)"),
        (401, "", StoreError, r"the store refused the credentials \(401\); check them"),
        (403, "QuotaExceeded", StoreUnreachable, r"the store's disk or quota is full \(QuotaExceeded\); make room"),
        (
            507,
            "InsufficientStorage",
            StoreUnreachable,
            r"the store's disk or quota is full \(Insuff.*; make room there",
        ),
        (429, "", StoreUnreachable, "the store answered 429; try again later"),
        (500, "InternalError", StoreUnreachable, "the store answered InternalError; try again later"),
        (503, "", StoreUnreachable, "the store answered 503; try again later"),
    ],
)
def test_refusals(status: int, code: str, kind: type[StoreError], message: str) -> None:
    failure = explained(_refusal(status, code), "read", URL, ENDPOINT)
    assert type(failure) is kind
    with pytest.raises(kind, match=f"cannot read {URL}: {message}"):
        raise failure
    assert failure.retryable == (kind is StoreUnreachable)


@pytest.mark.parametrize(
    ("error", "retryable", "message"),
    [
        (TimeoutError("no whole answer in 5 s"), True, f"at {ENDPOINT}: no whole answer in 5 s; check that the store"),
        (ReadTimeoutError(endpoint_url=ENDPOINT), True, "Read timeout on endpoint URL.*; check that the store runs"),
        (ResponseParserError("no XML"), True, "no XML; check that the store runs and that the endpoint is right"),
        (NoCredentialsError(), False, "no credentials to read .*: set AWS_ACCESS_KEY_ID"),
        (ParamValidationError(report="Invalid bucket name"), False, "Invalid bucket name; correct the store's address"),
    ],
)
def test_failures(error: Exception, retryable: bool, message: str) -> None:
    failure = explained(error, "read", URL, ENDPOINT)
    assert failure.retryable == retryable
    with pytest.raises(StoreError, match=message):
        raise failure
    assert URL in str(failure)


def test_which_object_is_missing() -> None:
    assert is_missing(_refusal(404, "NoSuchKey"))
    assert is_missing(_refusal(404, "404"))
    assert not is_missing(_refusal(404, "NoSuchBucket"))
    assert not is_missing(_refusal(403, "AccessDenied"))
