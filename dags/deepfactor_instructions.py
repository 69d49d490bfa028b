"""What Airflow's pages tell the person on call about the monthly run, in Markdown."""

from __future__ import annotations

MONTHLY = {
    "dag": """ ### One month of the Deep Factor Model

Ingests the raw tables of a month and its history, validates them, computes the descriptors, trains every model of the
configuration on the trailing 60 months, books each prediction to its inputs, holds the month against its gates, and
publishes signals, attribution and report. Steps share nothing but the store and are idempotent: a second run over the
same inputs has the same run id and changes nothing. **Any task may be cleared and run again, alone or with what
follows.**

**When.** At 18:00 in Tokyo on the exchange's last session of a month. Where no session is published yet, the
exchange's rules tell which day that is, and beyond them it is the last weekday.

**Which month.** That of the last session. The run of 2016-02 has the logical date 2016-02-29, the day of the session;
a backfill from 2006-03-01 to 2016-02-29 has the months 2006-03 to 2016-02. A run by hand takes the parameter `month`.
Without it, it is the last month that was due at the logical date, or at the moment from which the run may start where
there is none. With the logical date of a month's own run it is that month's.

**A late vendor.** `ingest` looks every five minutes and holds no slot in between. It gives up 24 hours after the month
was due (`DEEPFACTOR_WAIT_HOURS`). A month whose time has passed, or has not come, is not waited for: it fails at once.

**What fails.** What can succeed by itself, such as a store that does not answer, is tried four times, after half a
minute, one, two. A failed validation, a gate that refuses, a wrong configuration are final: their log ends with the
reason.

**Alerts.** One message for a failed run, with the tasks, their reasons and links. One where a month is not published
by 08:00 in Tokyo on the morning after (`DEEPFACTOR_PUBLISHED_BY`; sent by the triggerer), not for months that were
late when their run was made. Both go where the connection `deepfactor_alerts` says: type `http` is a webhook, which
gets `{"text": …}` by POST (host, schema, port; the secret part of its path in the password); type `smtp` is mail (`to`
and `from_email` in its extra). Without the connection they stand only in the logs of DAG processor and triggerer.

**Needs** the connection `deepfactor_store` (type aws; extra: `store`, such as `s3://bucket/prefix`, and `endpoint_url`
where it is not AWS; login and password, or the usual AWS variables) and the pool `training`, whose slots say how many
models may train at once. A configuration of J-Quants needs the service's key, too: in the password of the connection
`jquants_default`, or in the environment variable JQUANTS_API_KEY.

**Afterwards** the asset `deepfactor_signals` is updated (month, run id, number of stocks, verdict of the gates), and
with it `deepfactor_evaluation` starts.
""",
    "ingest": """
Waits for the vendor's month, then stores the raw tables of it and of the 132 months before. The log says what is
waited for and until when.

**Up for reschedule** means waiting. **Failed, not delivered**: have the vendor deliver, then clear this task.
**Failed, too little history**: the message says from which month on data are needed. Starts a new run id if data,
configuration or code have changed.
""",
    "validate": """
Holds the raw tables against `include/expectations`, and sets single bad rows aside.

**Failed** is final: the log names each expectation and the store's folder with the Data Docs. Have the vendor deliver
again and clear `ingest` with what follows; never loosen an expectation at night.
""",
    "describe": """
Computes the 16 descriptors of every month of the window, and names the models to train.

**Failed**: too few months or stocks; the log says how many there are.
""",
    "train": """
Trains one model on the trailing 60 months; one at a time for each slot of the pool `training`. The log has a line an
epoch.

**Killed without a word** is mostly memory: fewer slots in the pool, or a larger machine, then clear the task.
""",
    "attribute": """
Predicts the month with every model, and books each prediction to its inputs.
""",
    "bless": """
Holds the month against its gates: coverage, size and spread of predictions, ledgers that add up, explanations that
hold.

**Failed** is final, and nothing is published: the log names each gate with its number. Show it to research. A gate's
threshold is part of the configuration.
""",
    "publish": """
Writes the report, reads every object back, and writes the manifest, which makes the month published.

**Failed, published as another run**: somebody has published the month from other data, configuration or code. Look
which one is right, and trigger the month with "Force" to replace it.
""",
}
