"""Under which licence each package comes, as SPDX writes it, and which licences are allowed here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution

# Anybody may use, change and pass on, also within a closed product, if notices are kept.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    }
)

# Everything else, by package, with the reason why it is used all the same.
_UNCHANGED = "copyleft of single files, which are used as they are"
_LIBRARY = "copyleft of a library, which anybody may replace by another version"
_INTEL = "closed but free of charge; what is passed on is unchanged, with its notices. Without it models train slower"
EXCEPTIONS = {
    "certifi": _UNCHANGED,
    "daal": _INTEL,
    "hypothesis": _UNCHANGED,
    "pathspec": _UNCHANGED,
    "psycopg": _LIBRARY,
    "psycopg-binary": _LIBRARY,
    "psycopg2-binary": _LIBRARY,
    "tbb": _INTEL,
    "tcmlib": _INTEL,
    "text-unidecode": "taken under the Artistic License, which lets anybody use and pass it on unchanged",
    "tqdm": _UNCHANGED,
}

# What does not say it in a form that can be read, or is not installed everywhere; looked up by hand.
STATED = {
    "async-timeout": "Apache-2.0",
    "daal": "LicenseRef-Intel-Simplified-Software",
    "namex": "Apache-2.0",
    "pyyaml-ft": "MIT",
    "scikit-learn-intelex": "Apache-2.0",
    "tbb": "LicenseRef-Intel-Simplified-Software",
    "tcmlib": "LicenseRef-Intel-Simplified-Software",
    "tensorflow": "Apache-2.0",
    "tensorflow-cpu": "Apache-2.0",
}

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License (GPL)": "GPL-2.0-or-later",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "Artistic License": "Artistic-1.0-Perl",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_TEXTS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache v2.0": "Apache-2.0",
}


def licence_of(distribution: Distribution) -> str | None:
    """Return the licence that an installed package declares, as an SPDX expression; none if it cannot be told.

    Its metadata are asked in order of precision: expression, classifiers (any of which may be chosen), text.
    """
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier", []) if each.startswith("License")]
    named = sorted({_CLASSIFIERS[each] for each in classifiers if each in _CLASSIFIERS})
    if named:
        return " OR ".join(named)
    text = str(metadata.get("License", "")).strip()
    return _TEXTS.get(text) or (text if _identifiers(text) and _identifiers(text) <= {*ALLOWED, "MPL-2.0"} else None)


def allowed(expression: str) -> bool:
    """Tell whether a package under this licence may be used without a reason of its own.

    Of ``A OR B`` one has to be allowed, of ``A AND B`` both.
    """
    choices = expression.replace("(", "").replace(")", "").split(" OR ")
    return any(ALLOWED >= _identifiers(choice) > set() for choice in choices)


def _identifiers(expression: str) -> set[str]:
    return {each for each in re.split(r"\s+AND\s+|\s+OR\s+", expression) if each}


def refused(licences: Iterable[tuple[str, str]]) -> list[str]:
    """Return the packages, of names with their licences, that may not be used."""
    return [f"{name}: {licence}" for name, licence in licences if not allowed(licence) and name not in EXCEPTIONS]
