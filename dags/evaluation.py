"""The evaluation DAG: when published months are held against the returns that came; ``deepfactor.evaluating`` does it.

Nothing of the library is imported at the top: the file is parsed again and again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseSensorOperator, DagRunState, Param, TriggerRule, dag, task
from deepfactor_airflow import (
    DEFAULT_ARGUMENTS,
    MONTH_OR_EMPTY,
    MONTHLY,
    SIGNALS,
    foreseen,
    read_config,
    service_key,
)
from deepfactor_alerts import FailedRun
from deepfactor_store import open_store

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from deepfactor.evaluating.parameters import Parameters
    from deepfactor.months import Month
    from deepfactor.store import Store

# Airflow gives the module a name that says nothing.
LOGGER = logging.getLogger("deepfactor_evaluation")

EVALUATION = Asset("deepfactor_evaluation")

# No month takes longer to compute: what is still active then is a long backfill, stands still, or waits for its vendor.
_PATIENCE = timedelta(hours=6)

_PARAMETERS = {
    "from": Param(
        "",
        type=["string", "null"],
        pattern=MONTH_OR_EMPTY,
        title="First month",
        description="As-of month, YYYY-MM. Empty: the first that is published.",
    ),
    "to": Param(
        "",
        type=["string", "null"],
        pattern=MONTH_OR_EMPTY,
        title="Last month",
        description="As-of month, YYYY-MM. Empty: the last that is published.",
    ),
    "config": Param(
        "",
        type=["string", "null"],
        title="Configuration of a delivery",
        description="YAML file, relative to the checkout. With it the result of a month whose next one is not "
        "published is fetched from the delivery that it names. Empty: such a month is not known yet.",
    ),
    "basis_points": Param(
        None,
        type=["number", "null"],
        minimum=0,
        title="Costs",
        description="Basis points of each purchase and each sale. Empty: 10.",
    ),
    "missing_return": Param(
        None,
        type=["number", "null"],
        minimum=-1,
        title="Missing return",
        description="What a stock without a return earns in a portfolio, a fraction. Empty: 0.",
    ),
    "trials": Param(
        None,
        type=["integer", "null"],
        minimum=1,
        title="Trials",
        description="Portfolios that were tried. Empty: as many as there are models.",
    ),
    "replace": Param(
        False,
        type="boolean",
        title="Replace",
        description="Whether an evaluation with other parameters, or one that knows more results, may be replaced.",
    ),
}

_DOCUMENTATION = """
### What the signals were worth

Holds all published months against the returns that came, and publishes Tables 4 and 5, Figure 3 and the tests beside
them under `evaluations/` in the store; the span's manifest is `evaluations/<from>_<to>.json`. Only published months are
read. A second evaluation of the same months has the same id and changes nothing.

**When.** Whenever `deepfactor_monthly` has published a month (asset `deepfactor_signals`). A month's result is known
once the month after it is published, so that is when it is scored.

**A backfill does not start it once a month.** Only one run is active at a time; what is published while it waits or
works is gathered into one further run. Its first task waits until no run of `deepfactor_monthly` is queued or running,
so all months are there when it reads them. It does not wait for a DAG that is paused, and for nothing longer than six
hours: then it is skipped, and what is published by then is evaluated.

**By hand.** A run that a person triggers does not wait. Without parameters it evaluates all published months, as after
a publication. Months that are published while this DAG is paused do not start it when it is unpaused: trigger it once.

**Needs** the connection `deepfactor_store`, as `deepfactor_monthly` does, and like it the service's key for a
configuration of J-Quants.
"""


def span(parameters: Mapping[str, Any], store: Store) -> tuple[Month, Month]:
    """Return the first and last as-of month to evaluate."""
    from deepfactor.errors import StoreError
    from deepfactor.months import Month
    from deepfactor.publication import published_months

    published = published_months(store)
    if not published:
        raise StoreError(
            f"no month is published in {store.url('')}, so there is nothing to evaluate: run {MONTHLY} first"
        )
    first, last = parameters["from"], parameters["to"]
    return (
        Month.parse(first) if first else published[0],
        Month.parse(last) if last else published[-1],
    )


def suppositions(parameters: Mapping[str, Any]) -> Parameters:
    """Return what the evaluation supposes."""
    from deepfactor.evaluating.parameters import Parameters

    names = ("basis_points", "missing_return", "trials")
    return Parameters(**{name: parameters[name] for name in names if parameters[name] is not None})


_WAITING = """
Where a publication has started the run, waits until no month is queued or running, without a slot.

**Skipped** after six hours: what is published by then is evaluated.
"""

_EVALUATING = """
Holds the span's months against the returns that came, and publishes tables, tests and figures.

**Failed** where a month is not published, or another evaluation of the span is: the log says which, and what to do.
"""


class MonthsAreDone(BaseSensorOperator):
    """Waits until no month is computed, where a published one has started the run."""

    def poke(self, context: Context) -> bool:
        """Look once."""
        run, task_instance = context["dag_run"], context["ti"]
        if run.run_type != "asset_triggered":
            return True
        if task_instance.get_dag(MONTHLY).is_paused:
            LOGGER.info("%s is paused: its runs are not waited for", MONTHLY)
            return True
        active = task_instance.get_dr_count(dag_id=MONTHLY, states=[DagRunState.QUEUED, DagRunState.RUNNING])
        LOGGER.info("runs of %s that are queued or running: %d", MONTHLY, active)
        return bool(active == 0)


@dag(
    dag_id="deepfactor_evaluation",
    dag_display_name="Deep Factor Model, evaluation",
    description="What published signals were worth, whenever a month is published.",
    doc_md=_DOCUMENTATION,
    tags=["deepfactor", "evaluation"],
    schedule=[SIGNALS],
    catchup=False,
    # While one is active, Airflow gathers all events into one further run.
    max_active_runs=1,
    dagrun_timeout=2 * _PATIENCE,
    params=_PARAMETERS,
    default_args=DEFAULT_ARGUMENTS,
    on_failure_callback=FailedRun(
        lambda context: context["run_id"], "Repair the cause, then clear the failed task, or trigger a run by hand."
    ),
)
def deepfactor_evaluation() -> None:
    """Wire the two tasks."""

    @task(
        doc_md=_EVALUATING,
        outlets=[EVALUATION],
        trigger_rule=TriggerRule.NONE_FAILED,
        execution_timeout=timedelta(hours=1),
    )
    def evaluate(**context: Any) -> str:
        """Evaluate the span, and return the evaluation's id."""
        from deepfactor.evaluating.evaluate import evaluate

        given = context["params"]
        with foreseen():
            store, supposed = open_store(), suppositions(given)
            config = read_config(given["config"]) if given["config"] else None
            first, last = span(given, store)
            key = service_key(config) if config else None
            evaluation, manifest = evaluate(
                store, first, last, supposed, config=config, api_key=key, replace=given["replace"]
            )
        states = ", ".join(f"{number} {state}" for state, number in Counter(evaluation.coverage["state"]).items())
        LOGGER.info("months: %s; all of it lies in %s/", states, store.url(f"evaluations/{manifest.evaluation_id}"))
        context["outlet_events"][EVALUATION].extra = {
            "evaluation_id": manifest.evaluation_id,
            "from": str(first),
            "to": str(last),
            "scored": manifest.known,
        }
        return manifest.evaluation_id

    wait_for_months = MonthsAreDone(
        task_id="wait_for_months",
        doc_md=_WAITING,
        # Between two looks it holds no slot, and needs no triggerer.
        mode="reschedule",
        poke_interval=timedelta(seconds=5),
        exponential_backoff=True,
        max_wait=timedelta(minutes=1),
        timeout=_PATIENCE,
        soft_fail=True,
    )
    wait_for_months >> evaluate()


deepfactor_evaluation()
