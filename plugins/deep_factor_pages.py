"""The pages of ``deepfactor.pages`` in Airflow's UI, for those who may read the monthly DAG.

Schedulers, DAG processors and tasks load this file, too: FastAPI and the library are imported where they are used,
which is in the API server alone. Annotations are evaluated, since FastAPI reads those of functions below.
"""

import logging
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.configuration import AIRFLOW_HOME, conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from deepfactor.pages.answer import Answer
    from deepfactor.pages.site import Site

LOGGER = logging.getLogger(__name__)

CONNECTION = "deepfactor_store"
MONTHLY = "deepfactor_monthly"
EVALUATION = "deepfactor_evaluation"

# Where Airflow itself lies below its host: "" or something like "/airflow".
_BASE = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
_PREFIX = "/deep-factor"
_ROOT = f"{_BASE}{_PREFIX}"
# How the UI's own address shows a page.
_FRAME = f"{_BASE}/plugin{_PREFIX}"


# A colour that can be seen in the light and the dark navigation, chosen or not.
_ICON = "data:image/svg+xml," + quote(
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>"
    "<path fill='#e69f00' d='M3 13v8h4v-8zM10 8v13h4V8zM17 3v18h4V3z'/></svg>"
)


class Sites:
    """The pages of the store that the connection names; opened again when the connection changes.

    Parameters
    ----------
    folder
        Where digests of months are kept between restarts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: tuple[tuple[str | None, ...], Site] | None = None

    def current(self) -> "Site":
        """Return the pages of the store.

        Raises
        ------
        AirflowNotFoundException
            If there is no such connection.
        DeepfactorError
            If it names no store, or the store does not answer.
        """
        address = _address()
        with self._lock:
            if self._open is not None and self._open[0] == address:
                return self._open[1]
        from deepfactor.pages.shelf import Shelf
        from deepfactor.pages.site import Site

        # A store that does not answer must not keep others waiting.
        site = Site(Shelf.open(str(address[0]), *address[1:]), self._folder, _ROOT)
        with self._lock:
            replaced, self._open = self._open, (address, site)
        if replaced is not None:
            replaced[1].close()
        return site

    def prepare(self) -> None:
        """Read what is published before the first person asks; whatever fails is told to whom asks."""
        try:
            self.current().prepare()
        except Exception as error:
            LOGGER.info("the pages of Deep Factor are not prepared yet: %s", error)

    def close(self) -> None:
        """Stop reading."""
        with self._lock:
            if self._open is not None:
                self._open[1].close()


def _address() -> tuple[str | None, ...]:
    """Return URL, endpoint, access key and secret key of the store."""
    from airflow.models.connection import Connection

    from deepfactor.errors import ConfigurationError

    connection = Connection.get_connection_from_secrets(CONNECTION)
    extra = connection.extra_dejson
    if not extra.get("store"):
        raise ConfigurationError(
            f'the connection {CONNECTION} has no "store" in its extra: set it, for example to "s3://bucket/prefix"'
        )
    return extra["store"], extra.get("endpoint_url"), connection.login, connection.password


def digest_folder() -> Path:
    """Return the folder for digests: DEEPFACTOR_PAGES, else one in Airflow's home, else a temporary one."""
    folder = Path(os.environ.get("DEEPFACTOR_PAGES") or Path(AIRFLOW_HOME) / "deepfactor-pages")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        LOGGER.warning("%s cannot be written to (%s): every start reads all months again", folder, error)
        return Path(tempfile.mkdtemp(prefix="deepfactor-pages-"))


def run_address(dag_id: str, run_id: str) -> str:
    """Return where the page of a DAG run is, below the pages' root."""
    return f"/dag-runs/{quote(dag_id, safe='')}/{quote(run_id, safe='')}"


def place_of_run(dag_id: str, run_id: str) -> str:
    """Return the page that shows what a DAG run makes, below the pages' root.

    Raises
    ------
    NotThere
        If there is no such run, or it is one of another DAG.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from deepfactor.pages.errors import NotThere

    if dag_id == EVALUATION:
        return "/evaluations"
    if dag_id != MONTHLY:
        raise NotThere(f"{dag_id} is none of Deep Factor's DAGs; its runs publish no month")
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        if run is None or dag is None:
            raise NotThere(f"{dag_id} has no run {run_id!r}")
        month = (run.conf or {}).get("month") or dag.timetable.month(run)
    return f"/months/{quote(str(month), safe='')}"


def build_app(sites: Sites) -> Any:
    """Return the application that serves the pages.

    Every request, whatever it asks for, needs a login that may read the monthly DAG.
    """
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, Request, Response

    from deepfactor.pages.answer import redirect
    from deepfactor.pages.routes import answer

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=sites.prepare, name="deepfactor-pages-prepare", daemon=True).start()
        yield
        sites.close()

    allowed = Depends(requires_access_dag("GET", param_dag_id=MONTHLY))
    app = FastAPI(dependencies=[allowed], docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.get("/dag-runs/{dag_id}/{run_id:path}")
    def dag_run(dag_id: str, run_id: str) -> Response:
        return _response(redirect(f"{_ROOT}{place_of_run(dag_id, run_id)}"))

    @app.get("/{path:path}")
    def anything(request: Request, path: str) -> Response:
        held = request.headers.get("If-None-Match")
        return _response(answer(sites.current(), path, request.query_params, held))

    _explain_failures(app)
    return app


def _explain_failures(app: Any) -> None:
    """Have pages say what is wrong where something is."""
    from airflow.exceptions import AirflowNotFoundException
    from fastapi import Request, Response
    from starlette.exceptions import HTTPException

    from deepfactor.errors import DeepfactorError
    from deepfactor.pages import trouble as troubles
    from deepfactor.pages.answer import Answer

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> Response:
        known = {401: troubles.NOT_LOGGED_IN, 403: troubles.NOT_ALLOWED}
        if error.status_code in known:
            return _response(troubles.trouble_page(known[error.status_code], _ROOT))
        text = str(error.detail).encode()
        return _response(Answer(text, error.status_code, "text/plain; charset=utf-8", dict(error.headers or {})))

    @app.exception_handler(DeepfactorError)
    def expected(_: Request, error: DeepfactorError) -> Response:
        return _response(troubles.trouble_page(troubles.trouble_of(error), _ROOT))

    @app.exception_handler(AirflowNotFoundException)
    def unknown(_: Request, error: AirflowNotFoundException) -> Response:
        return _response(troubles.trouble_page(troubles.no_connection(CONNECTION, str(error)), _ROOT))

    @app.exception_handler(Exception)
    def fault(_: Request, _error: Exception) -> Response:
        # The server logs it with its trace.
        return _response(troubles.trouble_page(troubles.FAULT, _ROOT))


def _response(answer: "Answer") -> Any:
    from fastapi import Response

    return Response(answer.body, answer.status, answer.all_headers, answer.media_type)


def _run_links() -> list[Any]:
    """Return the link from a task to what its DAG run makes."""
    from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
    from airflow.sdk import BaseOperatorLink

    class DeepFactorLink(BaseOperatorLink):
        """From a task to what its run makes; no link for tasks of other DAGs."""

        name = "Deep Factor"
        operators: ClassVar = [_PythonDecoratedOperator]

        def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the base class names it
            if ti_key.dag_id not in (MONTHLY, EVALUATION):
                return ""
            return f"{_FRAME}{_ROOT}{run_address(ti_key.dag_id, ti_key.run_id)}"

    return [DeepFactorLink()]


class DeepFactorPagesPlugin(AirflowPlugin):
    """The entry "Deep Factor" in the navigation, a tab on DAG runs, and a link on tasks."""

    name = "deep_factor_pages"
    external_views: ClassVar = [
        {
            "name": "Deep Factor",
            "href": f"{_ROOT}/",
            "destination": "nav",
            "url_route": _PREFIX.removeprefix("/"),
            "nav_top_level": True,
            "icon": _ICON,
        },
        {
            "name": "Deep Factor",
            "href": f"{_ROOT}/dag-runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "deep-factor-run",
            "icon": _ICON,
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The pages; asked for by the API server alone."""
        app = build_app(Sites(digest_folder()))
        return [{"app": app, "url_prefix": _PREFIX, "name": "Deep Factor"}]

    @cached_property
    def operator_extra_links(self) -> list[Any]:
        """The link on tasks; asked for by the API server alone."""
        return _run_links()
