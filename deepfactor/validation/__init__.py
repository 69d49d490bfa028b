"""Whether a month's raw tables can be trusted: suites of expectations, judged by Great Expectations."""

from deepfactor.validation.verdict import Validation, validate

__all__ = ["Validation", "validate"]
