"""Alerts: where they are sent, and the one that tells of a failed run."""

from __future__ import annotations

import html
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseNotifier, Connection
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk.definitions.context import Context

LOGGER = logging.getLogger(__name__)

CONNECTION = "deepfactor_alerts"
FAILURE = "failure"

# The DAG processor and the triggerer have other things to do than to wait for a server.
_TIMEOUT = 10
# Of a reason; a name in the data may be long, and chats refuse long messages.
_LONGEST = 2000
# By which chats tell links and calls to everybody from text: a reason may quote the data.
_MARKUP = str.maketrans("<>", "‹›")


@dataclass(frozen=True)
class Alert:
    """A message for whoever is on call."""

    subject: str
    text: str


def send(alert: Alert) -> None:
    """Log an alert, and send it where the connection ``deepfactor_alerts`` says: a webhook, or mail.

    Raises
    ------
    Exception
        Whatever the hook raises if the message cannot be delivered; it stands in the log all the same.
    """
    LOGGER.error("%s\n%s", alert.subject, alert.text)
    try:
        connection = Connection.get(CONNECTION)
    except AirflowNotFoundException:
        LOGGER.warning("there is no connection %s of type http or smtp: the alert is in this log only", CONNECTION)
        return
    if connection.conn_type == "http":
        _post(alert, connection)
    elif connection.conn_type == "smtp":
        _mail(alert, connection)
    else:
        LOGGER.error(
            "the connection %s has the type %s: make it http (a webhook) or smtp (mail)",
            CONNECTION,
            connection.conn_type,
        )


def _post(alert: Alert, connection: Connection) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    # Without a login the password is what the webhook's address has to keep secret: the path.
    path = None if connection.login else connection.password
    body = {"text": f"{alert.subject}\n{alert.text}", "subject": alert.subject}
    HttpHook("POST", CONNECTION).run(path, json=body, extra_options={"timeout": _TIMEOUT})
    LOGGER.info("sent to the webhook of the connection %s", CONNECTION)


def _mail(alert: Alert, connection: Connection) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    extra = connection.extra_dejson
    if not extra.get("to") or not extra.get("from_email"):
        LOGGER.error('the connection %s needs "to" and "from_email" in its extra', CONNECTION)
        return
    with SmtpHook(smtp_conn_id=CONNECTION) as hook:
        hook.send_email_smtp(
            to=extra["to"],
            from_email=extra["from_email"],
            subject=alert.subject,
            html_content=f"<pre>{html.escape(alert.text)}</pre>",
        )
    LOGGER.info("sent as mail through the connection %s", CONNECTION)


def remember_failure(context: Context) -> None:
    """Keep why a task failed for good: where the run's failure is told of, nobody knows the exception any more.

    A task's ``on_failure_callback``.
    """
    instance, error = context["ti"], context.get("exception")
    reason = getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
    label = f" [{instance.rendered_map_index}]" if instance.rendered_map_index else ""
    instance.xcom_push(
        FAILURE,
        {
            "task": f"{instance.task_id}{label}",
            "key": [instance.task_id, instance.map_index],
            "attempt": instance.try_number,
            # A message may quote what a server answered, and that what it was sent.
            "reason": _harmless(str(redact(reason))),
            "log": instance.log_url,
        },
    )


def _harmless(reason: str) -> str:
    """Return a reason on one line, so that no name in the data can look like a line of a log or of the message."""
    from deepfactor.reports.numbers import legible

    text = legible(" ".join(reason.split())).translate(_MARKUP)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (the log has all of it)"


class FailedRun(BaseNotifier):
    """Tells once of a failed run: which month, which tasks and why, and where to look. A DAG's ``on_failure_callback``.

    Parameters
    ----------
    title
        Names what the run was about, such as its month.
    advice
        What to do, a sentence.
    """

    def __init__(self, title: Callable[[Context], str], advice: str) -> None:
        super().__init__()
        self._title = title
        self._advice = advice

    def notify(self, context: Context) -> None:
        """Send the alert."""
        send(self.alert(context))

    def alert(self, context: Context) -> Alert:
        """Return what there is to say."""
        dag, run_id = context["dag"].dag_id, context["run_id"]
        # Where no task can be blamed, Airflow gives neither parameters nor the run.
        title = self._title(context) if "ti" in context else run_id
        failures = _failures(context) if "ti" in context else []
        names = ", ".join(each["task"] for each in failures) or "no task"
        how = "took too long" if context.get("reason") == "timed_out" else "failed"
        told = [f"{each['task']}, attempt {each['attempt']}: {each['reason']}\nLog: {each['log']}" for each in failures]
        where = f"Run: {run_url(dag, run_id)}"
        return Alert(f"{dag} {title} {how}: {names}", "\n\n".join([*told, where, self._advice]))


def _failures(context: Context) -> list[Mapping[str, Any]]:
    instance = context["ti"]
    found = instance.xcom_pull(task_ids=sorted(context["dag"].task_ids), key=FAILURE)
    failures = [each for each in found if each is not None]
    if [instance.task_id, instance.map_index] not in [each["key"] for each in failures]:
        state = "had not ended" if context.get("reason") == "timed_out" else "ended without a word"
        failures.append(
            {
                "task": instance.task_id,
                "attempt": instance.try_number,
                "reason": f"it {state}: its log, or that of its worker, may tell more (memory, a restart)",
                "log": instance.log_url,
            }
        )
    return failures


def run_url(dag: str, run_id: str) -> str:
    """Return where the UI shows a run."""
    address = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    return f"{address}/dags/{dag}/runs/{quote(run_id)}"
