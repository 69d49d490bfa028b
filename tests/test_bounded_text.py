"""YAML and JSON within bounds: what is written small does not become large, and nothing is said twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.bounded_text import DEEPEST, MOST_VALUES, parse_json, parse_yaml
from deepfactor.errors import ConfigurationError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def _aliases(count: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, count)]
    return "\n".join(lines)


class TestProperties:
    @given(_VALUES)
    def test_what_is_written_is_read(self, content: Any) -> None:
        assert parse_json(json.dumps(content), "a.json") == content
        assert parse_yaml(yaml.safe_dump(content), "a.yaml") == content

    def test_anchors_and_merges_are_read(self) -> None:
        text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"
        assert parse_yaml(text, "a.yaml") == yaml.safe_load(text)
        assert parse_yaml("", "a.yaml") is None


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (_aliases(9), f"holds, or stands for, more than {MOST_VALUES} keys and values; shorten it"),
            ("a: &a [*a]", "an alias stands for what it lies in; write it out"),
            ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"is nested more than {DEEPEST} deep; flatten it"),
            ("[" * 100_000, f"is nested more than {DEEPEST} deep; flatten it"),
            ("[" + "1," * MOST_VALUES + "1]", f"holds, or stands for, more than {MOST_VALUES} keys and values"),
            ("a: " + "9" * 5_000, r"holds a value that cannot be read: Exceeds the limit \(4300 digits\)"),
            ("a: 2016-02-30", "holds a value that cannot be read: day "),
            ("a: !!python/object/apply:os.system [ls]", "is not YAML: could not determine a constructor"),
            ("b: {c: 1, c: 2}", "the key c stands twice in what begins in line 1; remove one"),
            ("a: [", "is not YAML: "),
        ],
    )
    def test_yaml(self, text: str, expected: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^a.yaml: {expected}"):
            parse_yaml(text, "a.yaml")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[" * 60 + "]" * 60, f"is nested more than {DEEPEST} deep; flatten it"),
            ("[" * 100_000, f"is nested more than {DEEPEST} deep; flatten it"),
            ("[" + "1," * MOST_VALUES + "1]", f"holds, or stands for, more than {MOST_VALUES} keys and values"),
            ("9" * 5_000, "is not JSON: Exceeds the limit"),
            ('{"a": NaN}', "is not JSON: NaN is no number of JSON"),
            ('{"a": 1, "a": 2}', "is not JSON: the key 'a' stands twice"),
            ("", "is not JSON: Expecting value"),
        ],
    )
    def test_json(self, text: str, expected: str) -> None:
        with pytest.raises(ConfigurationError, match=f"^a.json: {expected}"):
            parse_json(text, "a.json")

    def test_as_many_as_there_may_be(self) -> None:
        assert len(parse_json("[" + "1," * (MOST_VALUES - 2) + "1]", "a.json")) == MOST_VALUES - 1
