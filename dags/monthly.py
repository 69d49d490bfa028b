"""The monthly DAG: order, retries and mapping. What the steps do is in ``deepfactor.pipeline``.

Nothing of the library is imported at the top: the file is parsed again and again, and TensorFlow takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, dag, task
from deepfactor_airflow import (
    DEFAULT_ARGUMENTS,
    MONTH_OR_EMPTY,
    MONTHLY,
    SIGNALS,
    final_where_waiting_cannot_help,
    open_store,
    read_config,
    service_key,
)
from trading_calendar import TradingCalendarTimetable

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.types import DagRunProtocol as DagRun

    from deepfactor.months import Month

# Where the data end, the schedule must end too; runs that are asked for by name are not bound by it.
SCHEDULE = TradingCalendarTimetable("XTKS", "18:00", "Asia/Tokyo", os.environ.get("DEEPFACTOR_LAST_SCHEDULED") or None)

_PARAMETERS = {
    "month": Param(
        "",
        type=["string", "null"],
        pattern=MONTH_OR_EMPTY,
        title="As-of month",
        description="YYYY-MM, for example 2016-02. Empty: the last month that was due at the run's logical date.",
    ),
    "config": Param(
        "include/config/default.yaml",
        type="string",
        title="Configuration",
        description="YAML file, relative to the checkout.",
    ),
    "replace": Param(
        False,
        type="boolean",
        title="Replace",
        description="Whether a month that another run has published may be replaced.",
    ),
}

_DOCUMENTATION = """
### One month of the Deep Factor Model

Ingests the raw tables of a month and its history, validates them, computes the descriptors, trains every model of the
configuration on the trailing 60 months, books each prediction to its inputs, holds the month against its gates, and
publishes signals, attribution and report. Steps share nothing but the store and are idempotent: a second run over the
same inputs has the same run id and changes nothing.

**When.** At 18:00 in Tokyo on the exchange's last session of a month. Where no session is published yet, the exchange's
rules tell which day that is, and beyond them it is the last weekday.

**Which month.** That of the last session. The run of 2016-02 has the logical date 2016-02-29, the day of the session;
a backfill from 2006-03-01 to 2016-02-29 has the months 2006-03 to 2016-02. A run by hand takes the parameter `month`.
Without it, it is the last month that was due at the logical date, or at the moment from which the run may start where
there is none. With the logical date of a month's own run it is that month's.

**Needs** the connection `deepfactor_store` (type aws; extra: `store`, such as `s3://bucket/prefix`, and `endpoint_url`
where it is not AWS; login and password, or the usual AWS variables) and the pool `training`, whose slots say how many
models may train at once. A configuration of J-Quants needs the service's key, too: in the password of the connection
`jquants_default`, or in the environment variable JQUANTS_API_KEY.

**Afterwards** the asset `deepfactor_signals` is updated, and with it `deepfactor_evaluation` starts.
"""


def month_of(parameters: Mapping[str, Any], run: DagRun) -> Month:
    """Return the as-of month of a run."""
    from deepfactor.months import Month

    return Month.parse(parameters["month"]) if parameters.get("month") else SCHEDULE.month(run)


def carry_out(step: Callable[..., Any], run: Mapping[str, str], context: Context, **options: Any) -> Any:
    """Call a step of the pipeline for a run."""
    from deepfactor.pipeline import Run

    with final_where_waiting_cannot_help():
        return step(Run.from_dict(run), open_store(), read_config(context["params"]["config"]), **options)


@dag(
    dag_id=MONTHLY,
    dag_display_name="Deep Factor Model, monthly",
    description="One month, from raw tables to published signals and their attribution.",
    doc_md=_DOCUMENTATION,
    tags=["deepfactor", "signals"],
    schedule=SCHEDULE,
    start_date=datetime(2006, 3, 1, tzinfo=UTC),
    catchup=False,
    # A month needs up to 3 GB, and nothing of another month: two overlap where one waits for the training pool.
    max_active_runs=2,
    dagrun_timeout=timedelta(hours=6),
    params=_PARAMETERS,
    default_args=DEFAULT_ARGUMENTS,
)
def deepfactor_monthly() -> None:
    """Wire the steps of a month."""

    @task
    def ingest(**context: Any) -> dict[str, str]:
        """Fetch raw tables and store them by content."""
        from deepfactor import pipeline

        with final_where_waiting_cannot_help():
            month = month_of(context["params"], context["dag_run"])
            config = read_config(context["params"]["config"])
            return pipeline.ingest(month, open_store(), config, service_key(config)).as_dict()

    @task
    def models(**context: Any) -> list[str]:
        """Name the models to train."""
        with final_where_waiting_cannot_help():
            return list(read_config(context["params"]["config"]).models)

    @task
    def validate(run: dict[str, str], **context: Any) -> None:
        """Hold the raw tables against their expectations."""
        from deepfactor import pipeline

        carry_out(pipeline.validate, run, context)

    @task
    def describe(run: dict[str, str], **context: Any) -> None:
        """Compute the descriptors of the window."""
        from deepfactor import pipeline

        carry_out(pipeline.describe, run, context)

    @task(
        pool="training",
        map_index_template="{{ task.op_kwargs['model'] }}",
        execution_timeout=timedelta(hours=2),
    )
    def train(run: dict[str, str], model: str, **context: Any) -> None:
        """Train one model."""
        from deepfactor import pipeline

        carry_out(pipeline.train, run, context, model=model)

    @task
    def attribute(run: dict[str, str], **context: Any) -> None:
        """Predict, and book each prediction to its inputs."""
        from deepfactor import pipeline

        carry_out(pipeline.attribute, run, context)

    @task
    def bless(run: dict[str, str], **context: Any) -> None:
        """Hold the month against its gates."""
        from deepfactor import pipeline

        carry_out(pipeline.bless, run, context)

    @task(outlets=[SIGNALS])
    def publish(run: dict[str, str], **context: Any) -> str:
        """Write the manifest, and return its run id."""
        from deepfactor import pipeline

        manifest = carry_out(pipeline.publish, run, context, replace=bool(context["params"]["replace"]))
        context["outlet_events"][SIGNALS].extra = {"month": str(manifest.month), "run_id": manifest.run_id}
        return manifest.run_id

    run = ingest()
    described = describe(run)
    trained = train.partial(run=run).expand(model=models())
    validate(run) >> described >> trained >> attribute(run) >> bless(run) >> publish(run)


deepfactor_monthly()
