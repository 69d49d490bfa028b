"""What can be said of the policies without a service; tests/peers enforces them on one."""

from __future__ import annotations

import pytest

from tests.deploy.policies import BUCKET, POLICIES, PREFIX, USERS, filled


@pytest.mark.parametrize("user", USERS)
def test_it_allows_named_actions_on_what_is_deepfactors_own(user: str) -> None:
    content = filled(user)
    assert content["Version"] == "2012-10-17"
    for statement in content["Statement"]:
        assert "*" not in str(statement["Action"])
        if statement["Effect"] == "Deny":
            continue
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            whole = resource == f"arn:aws:s3:::{BUCKET}"
            assert whole or resource.startswith(f"arn:aws:s3:::{BUCKET}/{PREFIX}/")
            assert whole == (statement["Action"] == "s3:ListBucket")


def test_the_policy_of_the_bucket_is_all_three() -> None:
    together = [
        {**statement, "Sid": user.capitalize() + statement["Sid"], "Principal": {"AWS": f"arn:aws:iam:::user/{user}"}}
        for user in USERS
        for statement in filled(user)["Statement"]
    ]
    assert filled("bucket") == {"Version": "2012-10-17", "Statement": together}


def test_each_is_told_of() -> None:
    text = (POLICIES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in text for path in POLICIES.glob("*.json"))
