"""The policies of deploy/policy, filled in as their README says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

POLICIES = Path(__file__).resolve().parents[2] / "deploy" / "policy"
USERS = ("writer", "reader", "pages")
BUCKET, PREFIX = "governed", "research/factors"


def filled(name: str) -> dict[str, Any]:
    """Return a policy of users, or ``bucket``, with bucket, prefix and users filled in."""
    text = (POLICIES / f"{name}.json").read_text(encoding="utf-8")
    text = text.replace("BUCKET", BUCKET).replace("PREFIX", PREFIX)
    for user in USERS:
        text = text.replace(f'"{user.upper()}"', f'"arn:aws:iam:::user/{user}"')
    content: dict[str, Any] = json.loads(text)
    return content
