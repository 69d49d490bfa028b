"""TensorFlow, set up before it is imported: it reads these settings once."""

from __future__ import annotations

import os

# The compiled programs do not use oneDNN, whose rounding depends on the machine; and what TensorFlow logs below errors
# is about itself.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

__all__ = ["tf"]
