from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

# In a process of its own: libraries stay loaded, and threads stay started.
SCRIPT = """
import os, sys
from deepfactor.stack.warm_airflow import load_libraries
load_libraries()
assert "polars" not in sys.modules, "polars starts a thread that a forked process lacks"
child = os.fork()
if child == 0:
    import polars
    from deepfactor.models.backend import tf
    product = tf.function(lambda x: tf.matmul(x, x), jit_compile=True)(tf.eye(64))
    total = polars.DataFrame({"a": range(100_000)}).lazy().group_by(polars.col("a") % 7).agg(polars.len()).collect()
    os._exit(0 if float(tf.reduce_sum(product)) == 64 and total["len"].sum() == 100_000 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_computes_with_what_was_loaded_before() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_it_is_airflow() -> None:
    command = [sys.executable, "-m", "deepfactor.stack.warm_airflow", "version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().endswith(version("apache-airflow"))
