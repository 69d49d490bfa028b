"""The monthly DAG: order, retries and mapping. What the steps do is in ``deepfactor.pipeline``.

Nothing of the library is imported at the top: the file is parsed again and again, and TensorFlow takes seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronDataIntervalTimetable, Param, dag, task
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

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from deepfactor.months import Month

# Where the data end, the schedule must end too; runs that are asked for by name are not bound by it.
_LAST_SCHEDULED = os.environ.get("DEEPFACTOR_LAST_SCHEDULED")

_PARAMETERS = {
    "month": Param(
        "",
        type=["string", "null"],
        pattern=MONTH_OR_EMPTY,
        title="As-of month",
        description="YYYY-MM, for example 2016-02. Empty: the month of the run's data interval.",
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

**Which month.** A scheduled or backfilled run computes the month that its data interval covers: logical date
2016-02-01, data interval 2016-02-01 to 2016-03-01, month 2016-02. A run triggered with a logical date takes the last
month that was complete at that date, which is its data interval too. A run triggered without one needs the parameter
`month`. Airflow's run ids name the day a run is due: `…2016-03-01…` is the run of month 2016-02.

**Needs** the connection `deepfactor_store` (type aws; extra: `store`, such as `s3://bucket/prefix`, and `endpoint_url`
where it is not AWS; login and password, or the usual AWS variables) and the pool `training`, whose slots say how many
models may train at once. A configuration of J-Quants needs the service's key, too: in the password of the connection
`jquants_default`, or in the environment variable JQUANTS_API_KEY.

**Afterwards** the asset `deepfactor_signals` is updated, and with it `deepfactor_evaluation` starts.
"""


def month_of(parameters: Mapping[str, Any], interval_start: datetime | None) -> Month:
    """Return the as-of month of a run."""
    from deepfactor.errors import ConfigurationError
    from deepfactor.months import Month

    if parameters.get("month"):
        return Month.parse(parameters["month"])
    if interval_start is None:
        raise ConfigurationError(
            "this run has no logical date, so it does not say which month to compute: trigger it with a logical date, "
            'or with the parameter month, for example {"month": "2016-02"}'
        )
    return Month.containing(interval_start.astimezone(UTC).date())


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
    schedule=CronDataIntervalTimetable("0 0 1 * *", timezone="UTC"),
    start_date=datetime(2006, 3, 1, tzinfo=UTC),
    end_date=datetime.strptime(_LAST_SCHEDULED, "%Y-%m").replace(tzinfo=UTC) if _LAST_SCHEDULED else None,
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
            month = month_of(context["params"], context.get("data_interval_start"))
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
