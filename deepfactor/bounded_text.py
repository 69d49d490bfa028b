"""YAML and JSON that people write, read within bounds: what is written small must not become large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deepfactor.errors import ConfigurationError

MOST_VALUES = 100_000
"""Keys and values of a file; what an alias stands for counts each time."""
DEEPEST = 50
"""How many lists and keys a value may lie in."""

# Where PyYAML has been built with libyaml, a first look takes a tenth of the time.
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML with the safe loader.

    Parameters
    ----------
    text
        The YAML.
    where
        What messages call it.

    Raises
    ------
    ConfigurationError
        If it is not YAML, a key stands twice, or it holds or stands for more than ``MOST_VALUES``, or is nested more
        than ``DEEPEST``.
    """
    try:
        _check_events(text, where)
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _count(node, where, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # The error itself quotes the line, and any file may have been named.
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{where}: is not YAML: {error.problem}{line}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: is not YAML: {error}") from None
    except (ValueError, OverflowError) as error:
        # Of a date that does not exist, or a number of thousands of digits.
        raise ConfigurationError(f"{where}: holds a value that cannot be read: {error}") from None


def parse_json(text: str, where: str) -> Any:
    """Read JSON.

    Parameters
    ----------
    text
        The JSON.
    where
        What messages call it.

    Raises
    ------
    ConfigurationError
        If it is not JSON, a key stands twice, a number is not finite, or it holds more than ``MOST_VALUES`` or is
        nested more than ``DEEPEST``.
    """
    try:
        content = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:
        raise ConfigurationError(f"{where}: is not JSON: {error}") from None
    left = [(content, 0)]
    for number, (value, depth) in enumerate(_growing(left), start=1):
        if number > MOST_VALUES:
            raise _too_many(where)
        if depth > DEEPEST:
            raise _too_deep(where)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(each, depth + 1) for each in inner]
    return content


def _growing(left: list[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
    while left:
        yield left.pop()


def _check_events(text: str, where: str) -> None:
    """Refuse what is too long or deep before anything is built of it."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_PARSER), start=1):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if number > MOST_VALUES:
            raise _too_many(where)
        if depth > DEEPEST:
            raise _too_deep(where)


def _count(node: Node, where: str, known: dict[int, int | None]) -> int:
    """Return how many keys and values a node stands for."""
    if id(node) in known:
        count = known[id(node)]
        if count is None:
            raise ConfigurationError(f"{where}: an alias stands for what it lies in; write it out")
        return count
    known[id(node)] = None
    inner: list[Node] = []
    if isinstance(node, SequenceNode):
        inner = node.value
    elif isinstance(node, MappingNode):
        _check_keys(node, where)
        inner = [each for pair in node.value for each in pair]
    count = 1
    for each in inner:
        count += _count(each, where, known)
        if count > MOST_VALUES:
            raise _too_many(where)
    known[id(node)] = count
    return count


def _check_keys(node: MappingNode, where: str) -> None:
    keys = [key.value for key, _ in node.value if isinstance(key, ScalarNode)]
    if len(keys) != len(set(keys)):
        twice = next(key for key in keys if keys.count(key) > 1)
        line = node.start_mark.line + 1
        raise ConfigurationError(f"{where}: the key {twice} stands twice in what begins in line {line}; remove one")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in content if keys.count(key) > 1)!r} stands twice")
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _too_many(where: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: holds, or stands for, more than {MOST_VALUES} keys and values; shorten it")


def _too_deep(where: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: is nested more than {DEEPEST} deep; flatten it")
