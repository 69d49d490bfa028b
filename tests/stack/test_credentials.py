from __future__ import annotations

import json
from pathlib import Path

import pytest

from deepfactor.stack.credentials import Credentials, ensure_credentials
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout


def test_credentials_are_made_once_and_kept_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = ensure_credentials(layout)
    assert ensure_credentials(layout) == first
    assert ensure_credentials(Layout(tmp_path / "other")) != first
    for path in (layout.secrets, layout.password):
        assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(layout.password.read_text()) == {"admin": first.password}


def test_credentials_do_not_show_in_messages() -> None:
    credentials = Credentials()
    assert credentials.secret_key not in repr(credentials)
    assert len({credentials.secret_key, credentials.password, credentials.token_key, credentials.session_key}) == 4


def test_damaged_credentials_say_what_to_do(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    ensure_credentials(layout)
    layout.secrets.write_text("{}garbage")
    with pytest.raises(StackError, match="delete the folder"):
        ensure_credentials(layout)
