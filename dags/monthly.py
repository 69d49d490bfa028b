"""The monthly DAG: order, retries and mapping. What the steps do is in ``deepfactor.pipeline``.

Nothing of the library is imported at the top: the file is parsed again and again, and TensorFlow takes seconds.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import AsyncCallback, DeadlineAlert, Param, PokeReturnValue, dag, task
from deepfactor_airflow import (
    CHECKOUT,
    DEFAULT_ARGUMENTS,
    MONTH_OR_EMPTY,
    MONTHLY,
    SIGNALS,
    foreseen,
    read_config,
    service_key,
    whole_hours,
)
from deepfactor_alerts import FailedRun
from deepfactor_delivery import delivered
from deepfactor_instructions import MONTHLY as INSTRUCTIONS
from deepfactor_lateness import PublishedBy, month_is_late
from deepfactor_store import open_store
from trading_calendar import TradingCalendarTimetable

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.types import DagRunProtocol as DagRun

    from deepfactor.months import Month
    from deepfactor.publication import Manifest
    from deepfactor.store import Store

# Airflow gives the module a name that says nothing.
LOGGER = logging.getLogger(MONTHLY)

_DUE: dict[str, str | None] = {
    "calendar": "XTKS",
    "at": "18:00",
    "timezone": "Asia/Tokyo",
    # Where the data end, the schedule must end too; runs that are asked for by name are not bound by it.
    "last_month": os.environ.get("DEEPFACTOR_LAST_SCHEDULED") or None,
}
SCHEDULE = TradingCalendarTimetable(**_DUE)

# The first morning before the exchange opens, and the evening after the one on which the month was due.
PUBLISHED_BY = os.environ.get("DEEPFACTOR_PUBLISHED_BY") or "08:00"
WAIT = whole_hours("DEEPFACTOR_WAIT_HOURS", usual=24)

_MODELS = ("dfm1", "dfm2", "linear", "svr", "forest")

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
        examples=sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("include/config/*.yaml")),
        title="Configuration",
        description="Source, models and gates: a YAML file, relative to the checkout. Clear the field to choose one of "
        "include/config.",
    ),
    "models": Param(
        [],
        type=["array", "null"],
        items={"type": "string", "enum": list(_MODELS)},
        examples=list(_MODELS),
        title="Models",
        description="Which of the configuration's models to train; the signal model must be among them. Empty: all.",
    ),
    "replace": Param(
        False,
        type="boolean",
        title="Force: replace what is published",
        description="Whether a month that another run has published, from other data, configuration or code, may be "
        "replaced. The same run is never published twice.",
    ),
}


def month_of(parameters: Mapping[str, Any], run: DagRun) -> Month:
    """Return the as-of month of a run."""
    from deepfactor.months import Month

    return Month.parse(parameters["month"]) if parameters.get("month") else SCHEDULE.month(run)


def carry_out(step: str, run: Mapping[str, str], context: Context, **options: Any) -> Any:
    """Call a step of the pipeline for a run."""
    from deepfactor import pipeline

    parameters = context["params"]
    with foreseen():
        config = read_config(parameters["config"], parameters["models"])
        LOGGER.info("%s %s: run %s, %s", run["month"], step, run["run_id"], parameters["config"])
        return getattr(pipeline, step)(pipeline.Run.from_dict(run), open_store(), config, **options)


def publication(manifest: Manifest, store: Store) -> dict[str, Any]:
    """Return what the event of a publication tells of it."""
    warned = [
        f"{each['gate']} of {each['model'] or 'the month'}"
        for each in store.read_json(manifest.named("gates.json"))
        if not each["passed"]
    ]
    return {
        "month": str(manifest.month),
        "run_id": manifest.run_id,
        "stocks": manifest.facts["stocks scored"],
        "verdict": "passed with warnings" if warned else "passed",
        "warnings": warned,
    }


def step(name: str, **options: Any) -> Callable[..., Any]:
    """Return a task that carries out a step of the pipeline and has nothing to add."""

    @task(task_id=name, doc_md=INSTRUCTIONS[name], **options)
    def carry_out_step(run: dict[str, str], **context: Any) -> None:
        carry_out(name, run, context)

    return carry_out_step


@task.sensor(
    doc_md=INSTRUCTIONS["ingest"],
    # Between two looks it holds no slot, and needs no triggerer.
    mode="reschedule",
    poke_interval=timedelta(minutes=5),
    # It gives up by itself, with a better message.
    timeout=WAIT + timedelta(hours=1),
    # A data service's first month takes an hour and a half.
    execution_timeout=timedelta(hours=3),
)
def ingest(**context: Any) -> PokeReturnValue:
    """Wait for the vendor, then store the raw tables by content."""
    from deepfactor import pipeline
    from deepfactor.sources import open_source

    parameters = context["params"]
    with foreseen():
        month = month_of(parameters, context["dag_run"])
        config = read_config(parameters["config"], parameters["models"])
        key = service_key(config)
        vendor = config.source.folder or config.source.kind
        if not delivered(month, open_source(config.source, key), vendor, SCHEDULE.due(month), WAIT):
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(True, pipeline.ingest(month, open_store(), config, key).as_dict())


@task(doc_md=INSTRUCTIONS["describe"])
def describe(run: dict[str, str], **context: Any) -> list[str]:
    """Compute the descriptors, and name the models to train on them."""
    carry_out("describe", run, context)
    parameters = context["params"]
    return list(read_config(parameters["config"], parameters["models"]).models)


@task(
    doc_md=INSTRUCTIONS["train"],
    pool="training",
    map_index_template="{{ task.op_kwargs['model'] }}",
    execution_timeout=timedelta(hours=2),
)
def train(run: dict[str, str], model: str, **context: Any) -> None:
    """Train one model."""
    carry_out("train", run, context, model=model)


@task(doc_md=INSTRUCTIONS["publish"], outlets=[SIGNALS])
def publish(run: dict[str, str], **context: Any) -> str:
    """Write the manifest, and return its run id."""
    manifest = carry_out("publish", run, context, replace=bool(context["params"]["replace"]))
    with foreseen():
        told = publication(manifest, open_store())
    LOGGER.info("%s publish: %s", manifest.month, told)
    context["outlet_events"][SIGNALS].extra = told
    return manifest.run_id


@dag(
    dag_id=MONTHLY,
    dag_display_name="Deep Factor Model, monthly",
    description="One month, from raw tables to published signals and their attribution.",
    doc_md=INSTRUCTIONS["dag"],
    tags=["deepfactor", "signals", "monthly"],
    schedule=SCHEDULE,
    start_date=datetime(2006, 3, 1, tzinfo=UTC),
    catchup=False,
    # A month needs up to 3 GB, and nothing of another month: two overlap where one waits for the vendor or the training
    # pool. A backfill has its own limit.
    max_active_runs=2,
    # The vendor's delay, and then the work.
    dagrun_timeout=WAIT + timedelta(hours=6),
    params=_PARAMETERS,
    default_args=DEFAULT_ARGUMENTS,
    on_failure_callback=FailedRun(
        lambda context: str(month_of(context["params"], context["dag_run"])),
        "Repair the cause, then clear the failed task: what is done is not done again.",
    ),
    # `airflow dags test` of Airflow 3.3.2 ends with a database error where a DAG has one.
    deadline=None
    if sys.argv[1:3] == ["dags", "test"]
    else DeadlineAlert(
        name=f"Published by {PUBLISHED_BY} {_DUE['timezone']}",
        reference=PublishedBy(PUBLISHED_BY, _DUE),
        interval=timedelta(0),
        callback=AsyncCallback(month_is_late, {"schedule": _DUE}),
    ),
)
def deepfactor_monthly() -> None:
    """Wire the steps of a month."""
    run = ingest()
    described = describe(run)
    trained = train.partial(run=run).expand(model=described)
    attributed, blessed = step("attribute")(run), step("bless")(run)
    step("validate")(run) >> described >> trained >> attributed >> blessed >> publish(run)


deepfactor_monthly()
