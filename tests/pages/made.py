"""Months with everything that pages show, published of made descriptors, and runs that were stopped."""

from __future__ import annotations

from typing import Any

from deepfactor.months import Month
from deepfactor.objects import json_to_bytes
from deepfactor.publication import Manifest, open_month
from deepfactor.reports.month import render_month
from deepfactor.runs import Run, StepRecord, store_objects, write_record
from deepfactor.store import Store
from tests.evaluating.made_span import publish_made

MODEL = "linear"


def publish_month(store: Store, month: Month, *, warn: bool = False, run: str = "made", **how: Any) -> Manifest:
    """Publish a month with verdicts, gates, Data Docs and report.

    Parameters
    ----------
    store, month, run
        Where and what, and how the run's id begins.
    warn
        Whether an expectation and a gate warn.
    how
        As ``publish_made`` takes it.
    """
    change = {
        "validation/verdict.json": json_to_bytes(verdict(month, warn=warn)),
        "results/verdict.json": json_to_bytes(verdict(month)),
        "gates.json": json_to_bytes([gate("validation"), gate("placebo", MODEL, passed=not warn, hard=False)]),
        "validation/data_docs/index.html": b'<!DOCTYPE html><title>Docs</title><a href="prices.html">prices</a>',
        "validation/data_docs/prices.html": b"<!DOCTYPE html><title>Docs of prices</title>Great",
        **how.pop("change", {}),
    }
    manifest = publish_made(store, month, run=run, change=change, **how)
    report = render_month(open_month(store, manifest).report())
    return publish_made(store, month, run=run, change={"report.html": report, **change}, **how)


def stop_at_validation(store: Store, month: Month, run_id: str = "stopped") -> Run:
    """Leave what a run leaves whose raw tables did not pass."""
    run = Run(month, run_id)
    bodies = {
        "validation/verdict.json": json_to_bytes(verdict(month, fault="prices: 7 rows have no close")),
        "validation/data_docs/index.html": b"<!DOCTYPE html><title>Docs of what failed</title>",
    }
    record = store_objects(run, store, "validate", bodies, {"validation passed": False, "rows quarantined": 0})
    write_record(run, store, StepRecord("ingest", {}, {}))
    write_record(run, store, record)
    return run


def stop_at_gates(store: Store, month: Month, run_id: str = "refused") -> Run:
    """Leave what a run leaves that a gate refused."""
    run = Run(month, run_id)
    valid = {"validation/verdict.json": json_to_bytes(verdict(month))}
    judged = {
        "gates.json": json_to_bytes([gate("validation"), gate("coverage", passed=False)]),
        "results/verdict.json": json_to_bytes(verdict(month)),
    }
    write_record(run, store, StepRecord("ingest", {}, {}))
    write_record(run, store, store_objects(run, store, "validate", valid, {"validation passed": True}))
    write_record(run, store, store_objects(run, store, "bless", judged, {"gates passed": False}))
    return run


def verdict(month: Month, *, warn: bool = False, fault: str | None = None) -> dict[str, Any]:
    """Return a verdict of three expectations."""
    rows = (("schema", "error", fault is None), ("close positive", "quarantine", False), ("sales", "warning", not warn))
    return {
        "month": str(month),
        "passed": fault is None,
        "faults": [fault] if fault else [],
        "quarantined": [{"table": "prices", "reason": "close positive", "rows": 3}],
        "expectations": [
            {"name": name, "severity": severity, "success": met, "table": "prices", "scope": "month", "message": "why"}
            for name, severity, met in rows
        ],
    }


def gate(name: str, model: str | None = None, *, passed: bool = True, hard: bool = True) -> dict[str, Any]:
    """Return a gate's verdict."""
    figures = {"value": 0.5, "threshold": 0.25, "meaning": f"what {name} means"}
    return {"gate": name, "model": model, "passed": passed, "hard": hard, **figures}
