"""Structures in Thrift's compact protocol, in which Parquet writes its headers; only what stands in those of pages."""

from __future__ import annotations

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_INTEGERS = (4, 5, 6)
_LONGEST_NUMBER = 10
_DEEPEST = 4


def read_struct(body: bytes, position: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Read a structure.

    Parameters
    ----------
    body, position
        Where it begins.
    depth
        Of the structures around it.

    Returns
    -------
    dict, int
        Values by field number, and where the structure ends.

    Raises
    ------
    ValueError
        If it is none.
    IndexError
        If it has no end.
    """
    if depth > _DEEPEST:
        raise ValueError("a header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while body[position]:
        kind, step = body[position] & 15, body[position] >> 4
        position += 1
        if step:
            number += step
        else:
            raw, position = _varint(body, position)
            number = _signed(raw)
        fields[number], position = _value(body, position, kind, depth)
    return fields, position + 1


def _value(body: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, position
    if kind in _INTEGERS:
        raw, position = _varint(body, position)
        return _signed(raw), position
    if kind == _STRUCT:
        return read_struct(body, position, depth + 1)
    lengths = {_BYTE: 1, _DOUBLE: 8}
    if kind == _BINARY:
        length, position = _varint(body, position)
    elif kind in lengths:
        length = lengths[kind]
    else:
        raise ValueError(f"a header holds a value of the unknown kind {kind}")
    return body[position : position + length], position + length


def _varint(body: bytes, position: int) -> tuple[int, int]:
    number = 0
    for place in range(_LONGEST_NUMBER):
        byte = body[position + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, position + place + 1
    raise ValueError("a header holds a number without an end")


def _signed(number: int) -> int:
    return (number >> 1) ^ -(number & 1)
