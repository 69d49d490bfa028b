"""Where an alert goes, and what one of a failed run says."""

from __future__ import annotations

import email
import importlib
import json
from email.policy import default
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from .servers import mail_server, webhook

VARIABLE = "AIRFLOW_CONN_DEEPFACTOR_ALERTS"
SECRET = "T0/B0/s3cr3t"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    importlib.import_module("airflow")
    return importlib.import_module("deepfactor_alerts")


@pytest.fixture
def alert(module: ModuleType) -> Any:
    return module.Alert("2016-02 failed", "validate: <half> of the stocks are gone")


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"host": "127.0.0.1"} | fields))


class TestChannels:
    def test_a_webhook(self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with webhook() as received:
            connect(monkeypatch, conn_type="http", port=received.port, password=f"/services/{SECRET}")
            module.send(alert)
        body = {"text": f"{alert.subject}\n{alert.text}", "subject": alert.subject}
        assert received.messages == [(f"/services/{SECRET}", body)]

    def test_a_webhook_with_a_login(self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with webhook() as received:
            connect(monkeypatch, conn_type="http", port=received.port, login="me", password=SECRET)
            module.send(alert)
        assert [path for path, _ in received.messages] == ["/"]

    def test_a_webhook_that_refuses_is_no_success(
        self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with webhook(status=500) as received:
            connect(monkeypatch, conn_type="http", port=received.port)
            with pytest.raises(Exception, match="500"):
                module.send(alert)
        assert alert.text in caplog.text

    def test_mail(self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        extra = {"to": "desk@example.com", "from_email": "deepfactor@example.com"}
        with mail_server() as received:
            options = {"disable_ssl": True, "disable_tls": True, "timeout": 5}
            connect(monkeypatch, conn_type="smtp", port=received.port, extra=extra | options)
            module.send(alert)
        (text,) = received.messages
        message = email.message_from_string(text, policy=default)
        assert (message["Subject"], message["To"], message["From"]) == (alert.subject, *extra.values())
        body = message.get_body()
        assert body is not None
        assert "<pre>validate: &lt;half&gt; of the stocks are gone</pre>" in body.get_content()

    @pytest.mark.parametrize("extra", [{}, {"to": "desk@example.com"}, {"from_email": "deepfactor@example.com"}])
    def test_mail_to_nobody(
        self,
        module: ModuleType,
        alert: Any,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        extra: dict[str, str],
    ) -> None:
        connect(monkeypatch, conn_type="smtp", extra=extra)
        module.send(alert)
        assert 'the connection deepfactor_alerts needs "to" and "from_email" in its extra' in caplog.text

    def test_without_a_connection_only_the_log(
        self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.delenv(VARIABLE, raising=False)
        module.send(alert)
        assert alert.text in caplog.text
        assert "there is no connection deepfactor_alerts of type http or smtp" in caplog.text

    def test_another_type_is_named(
        self, module: ModuleType, alert: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect(monkeypatch, conn_type="aws")
        module.send(alert)
        assert "has the type aws: make it http (a webhook) or smtp (mail)" in caplog.text


class Instance(SimpleNamespace):
    """As much of a task instance as an alert looks at."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed = {key: value}

    def xcom_pull(self, task_ids: list[str], key: str) -> list[Any]:
        assert task_ids == ["train", "validate"]
        assert key == "failure"
        return [None, *self.kept]


def instance(task: str, index: int = -1, label: str | None = None, **more: Any) -> Instance:
    address = f"http://airflow/dags/d/runs/r/tasks/{task}"
    return Instance(
        task_id=task, map_index=index, rendered_map_index=label, try_number=2, log_url=address, kept=[], **more
    )


def context(last: Instance, reason: str = "task_failure") -> dict[str, Any]:
    with DAG("deepfactor_monthly") as dag:
        for task in ("validate", "train"):
            BaseOperator(task_id=task)
    return {"dag": dag, "run_id": "manual__2016+00:00", "ti": last, "reason": reason, "params": {"month": "2016-02"}}


@pytest.fixture
def notifier(module: ModuleType) -> Any:
    return module.FailedRun(lambda given: given["params"]["month"], "Repair the cause.")


class TestFailedRun:
    def test_every_task_that_failed_is_told_of_once(self, module: ModuleType, notifier: Any) -> None:
        failed = [instance("train", index, name) for index, name in enumerate(("dfm1", "dfm2"))]
        for each, error in zip(failed, (OSError("disk full"), SystemExit(1)), strict=True):
            error.reason = "TrainingError: constant" if isinstance(error, SystemExit) else None  # type: ignore[union-attr]
            module.remember_failure({"ti": each, "exception": error})
        failed[-1].kept = [each.pushed["failure"] for each in failed]
        alert = notifier.alert(context(failed[-1]))
        assert alert.subject == "deepfactor_monthly 2016-02 failed: train [dfm1], train [dfm2]"
        assert alert.text == (
            "train [dfm1], attempt 2: OSError: disk full\nLog: http://airflow/dags/d/runs/r/tasks/train\n\n"
            "train [dfm2], attempt 2: TrainingError: constant\nLog: http://airflow/dags/d/runs/r/tasks/train\n\n"
            f"Run: {module.run_url('deepfactor_monthly', 'manual__2016+00:00')}\n\nRepair the cause."
        )
        assert module.run_url("d", "manual__2016+00:00").endswith("/dags/d/runs/manual__2016%2B00%3A00")

    def test_a_task_that_was_killed_left_no_reason(self, notifier: Any) -> None:
        alert = notifier.alert(context(instance("validate")))
        assert alert.subject == "deepfactor_monthly 2016-02 failed: validate"
        assert "validate, attempt 2: it ended without a word: its log, or that of its worker" in alert.text

    def test_a_run_that_took_too_long(self, notifier: Any) -> None:
        alert = notifier.alert(context(instance("validate"), "timed_out"))
        assert alert.subject == "deepfactor_monthly 2016-02 took too long: validate"
        assert "it had not ended" in alert.text

    def test_a_run_of_which_airflow_knows_nothing_more(self, notifier: Any) -> None:
        given = context(instance("validate"))
        del given["ti"], given["params"]
        assert notifier.alert(given).subject == "deepfactor_monthly manual__2016+00:00 failed: no task"

    def test_a_message_is_no_template_and_holds_no_secret(
        self, module: ModuleType, notifier: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.sdk.log import mask_secret

        mask_secret("very-s3cret-key")
        failed = instance("validate")
        module.remember_failure({"ti": failed, "exception": OSError("{{ 7 * 6 }} refuses very-s3cret-key")})
        failed.kept = [failed.pushed["failure"]]
        with webhook() as received:
            connect(monkeypatch, conn_type="http", port=received.port)
            notifier(context(failed))
        ((_, body),) = received.messages
        assert "OSError: {{ 7 * 6 }} refuses ***\n" in body["text"]
