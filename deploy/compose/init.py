"""Prepares what the services share: buckets, and Airflow's tables, first user and pool; again, it changes nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import boto3
from botocore.config import Config

from deepfactor.store import Store

LOGGER = logging.getLogger("init")


def airflow(*arguments: str, answers: str | None = None) -> None:
    """Run an Airflow command, and give its answers where nobody sees them among the processes."""
    subprocess.run([sys.executable, "-m", "airflow", *arguments], input=answers, text=True, check=True)  # noqa: S603


def make_buckets(names: list[str]) -> None:
    """Make the buckets that are not there; only this service may."""
    client = boto3.session.Session().client(
        "s3",
        aws_access_key_id=os.environ["S3_ADMIN_ACCESS_KEY"],
        aws_secret_access_key=os.environ["S3_ADMIN_SECRET_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
    there = {each["Name"] for each in client.list_buckets()["Buckets"]}
    for name in names:
        if name not in there:
            client.create_bucket(Bucket=name)
            LOGGER.info("made the bucket %s", name)


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
    make_buckets(os.environ["BUCKETS"].split())
    check_store(os.environ["DEEPFACTOR_STORE"])
    airflow("db", "migrate")
    name, password = os.environ["ADMIN_NAME"], os.environ["ADMIN_PASSWORD"]
    person = ("--firstname", name, "--lastname", name, "--email", f"{name}@localhost")
    airflow("users", "create", "--role", "Admin", "--username", name, *person, answers=f"{password}\n{password}\n")
    airflow("pools", "set", "training", os.environ["TRAINING_SLOTS"], "Models that may train at the same time")


if __name__ == "__main__":
    main()
