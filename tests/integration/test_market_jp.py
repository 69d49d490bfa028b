"""README's run on real data: Japanese equities as a vendor delivers them, at full size."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from deepfactor.config import INCLUDE
from deepfactor.stack.object_store import Endpoint

FOLDER = Path(os.environ.get("DEEPFACTOR_MARKET_JP", INCLUDE.parents[1] / "shared" / "market-jp"))


@pytest.mark.integration
def test_a_month_of_two_thousand_stocks(endpoint: Endpoint) -> None:
    if not FOLDER.exists():
        pytest.skip(f"the real drop is not at {FOLDER}: set DEEPFACTOR_MARKET_JP to its folder")
    environment = os.environ | {
        "DEEPFACTOR_STORE": f"s3://deepfactor/{secrets.token_hex(6)}",
        "AWS_ENDPOINT_URL_S3": endpoint.url,
        "AWS_ACCESS_KEY_ID": endpoint.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.credentials.secret_key,
    }
    command = [sys.executable, "-m", "deepfactor", "run", "--month", "2018-11", "--source", str(FOLDER)]
    config = ["--config", str(INCLUDE / "config" / "market_jp.yaml")]
    run = subprocess.run([*command, *config], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Predicted total returns of 2018-12, as of 2018-11   dfm2, 1,972 stocks" in run.stdout
    assert "Gates: 28 of 28 passed" in run.stdout
    peak = re.search(r"Published and verified as run [0-9a-f]{16}\. Peak memory (\d+\.\d+) GB", run.stdout)
    assert peak is not None
    assert float(peak[1]) < 3.0
    assert "WARNING" not in run.stderr
