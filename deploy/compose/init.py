"""Prepares what the services share: buckets and who may do what in them, Airflow's tables, first user and pool.

Done again, it changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from deepfactor.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOGGER = logging.getLogger("init")

POLICY = Path(__file__).resolve().parents[1] / "policy" / "writer.json"
# The identity in docker-compose.yaml; SeaweedFS has one account, which has this number.
WORKER = "arn:aws:iam::000000000000:user/deepfactor"


def airflow(*arguments: str, answers: str | None = None) -> None:
    """Run an Airflow command, and give its answers where nobody sees them among the processes."""
    subprocess.run([sys.executable, "-m", "airflow", *arguments], input=answers, text=True, check=True)  # noqa: S603 - ours


def administrator() -> S3Client:
    """Return the client that may make and govern buckets; only this service has its key."""
    return boto3.session.Session().client(
        "s3",
        aws_access_key_id=os.environ["S3_ADMIN_ACCESS_KEY"],
        aws_secret_access_key=os.environ["S3_ADMIN_SECRET_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


def make_buckets(client: S3Client, names: list[str]) -> None:
    """Make the buckets that are not there."""
    there = {each["Name"] for each in client.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            client.create_bucket(Bucket=name)
            LOGGER.info("made the bucket %s", name)


def govern(client: S3Client, bucket: str) -> None:
    """Let the workers read and write a bucket, and delete nothing that is published."""
    policy = json.loads(POLICY.read_text(encoding="utf-8").replace("BUCKET", bucket).replace("PREFIX/", ""))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": WORKER}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def check_store(url: str) -> None:
    """Stop here if two publishers could overwrite each other."""
    if not Store.open(url).honours_conditions():
        sys.exit(
            f"the endpoint of {url} ignores conditional writes: use SeaweedFS 4.44 or newer, or another S3 service"
        )
    LOGGER.info("%s is reached, and honours conditional writes", url)


def main() -> None:
    """Do all of it, in order."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    store = os.environ["DEEPFACTOR_STORE"]
    client = administrator()
    make_buckets(client, os.environ["BUCKETS"].split())
    govern(client, store.removeprefix("s3://"))
    check_store(store)
    airflow("db", "migrate")
    name, password = os.environ["ADMIN_NAME"], os.environ["ADMIN_PASSWORD"]
    person = ("--firstname", name, "--lastname", name, "--email", f"{name}@localhost")
    airflow("users", "create", "--role", "Admin", "--username", name, *person, answers=f"{password}\n{password}\n")
    airflow("pools", "set", "training", os.environ["TRAINING_SLOTS"], "Models that may train at the same time")


if __name__ == "__main__":
    main()
