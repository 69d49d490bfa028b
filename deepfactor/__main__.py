"""Run the command line with ``python -m deepfactor``."""

from deepfactor.cli import app

app()
