"""Pages that say what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from deepfactor.errors import (
    ConfigurationError,
    DeepfactorError,
    IntegrityError,
    StoreError,
    StoreUnreachable,
)
from deepfactor.pages.answer import Answer, page
from deepfactor.pages.errors import NotThere, TooLarge


@dataclass(frozen=True)
class Trouble:
    """What is wrong.

    Attributes
    ----------
    status
        Of HTTP.
    title
        In a few words.
    message
        In a sentence; from an error, and so with names from the data.
    advice
        What to do, one thing after the other.
    """

    status: int
    title: str
    message: str
    advice: tuple[str, ...] = ()


NOT_LOGGED_IN = Trouble(
    401,
    "You are not logged in",
    "These pages are for people who are logged in to Airflow, and the session has ended or there was none.",
    ("Reload Airflow and log in.",),
)
NOT_ALLOWED = Trouble(
    403,
    "You may not see this",
    "These pages show what the DAG deepfactor_monthly has published, and your login has no right to read it.",
    ("Ask an administrator of Airflow for a role that may read the DAG deepfactor_monthly.",),
)
NO_PAGE = Trouble(404, "There is no such page", "The address leads nowhere.", ("Go to the overview of all months.",))
FAULT = Trouble(
    500,
    "This page has failed",
    "A fault of the program, not of the data.",
    ("The API server's log has the stack trace.", "Try the overview of all months."),
)


def no_connection(name: str, detail: str) -> Trouble:
    """Say that Airflow does not know where the store is."""
    return Trouble(
        503,
        "Airflow does not know the store",
        detail,
        (
            f"Create the connection {name} of type aws (Admin → Connections, or the environment variable "
            f"AIRFLOW_CONN_{name.upper()} of the API server).",
            'Its extra needs "store", such as "s3://bucket/prefix", and "endpoint_url" where it is not AWS; login and '
            "password are the access key, or leave them empty for the usual AWS variables.",
            "The tasks of deepfactor_monthly need the same connection.",
        ),
    )


def trouble_of(error: DeepfactorError) -> Trouble:
    """Return what a page says about an expected failure."""
    match error:
        case NotThere():
            return Trouble(404, "Not there", str(error), ("Go to the overview of all months.",))
        case TooLarge():
            return Trouble(413, "Too large for a browser", str(error))
        case StoreUnreachable():
            return Trouble(
                503,
                "The store does not answer",
                str(error),
                ("Check that the object store runs and can be reached from the API server.", "Then reload this page."),
            )
        case IntegrityError():
            return Trouble(
                502,
                "What was published is damaged",
                str(error),
                (
                    "Find out what is missing or changed: deepfactor verify --month YYYY-MM",
                    "Publish the month again: trigger deepfactor_monthly with the month, and replace switched on.",
                ),
            )
        case StoreError():
            return Trouble(502, "The store refused", str(error), ("Check bucket and credentials of the connection.",))
        case ConfigurationError():
            return Trouble(502, "The store's address is wrong", str(error), ("Correct the connection's extra.",))
        case _:
            return Trouble(500, "This page has failed", str(error))


def trouble_page(trouble: Trouble, root: str) -> Answer:
    """Render a page that says what is wrong."""
    return page("trouble", root, status=trouble.status, trouble=trouble, tab=None)
