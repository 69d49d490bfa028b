from __future__ import annotations

import os
import sys
import tempfile

from deepfactor.stack.layout import CHECKOUT

# Read when Airflow is first imported: without it, it would write to the home of whoever runs the tests.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(CHECKOUT / "plugins")

# As Airflow does, so that DAG files can share a module.
sys.path.append(str(CHECKOUT / "dags"))
