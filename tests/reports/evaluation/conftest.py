import pytest

from deepfactor.evaluating.evaluation import Evaluation
from tests.evaluating.made_evaluation import made_evaluation


@pytest.fixture(scope="package")
def made() -> Evaluation:
    """Two years and a half of five models, a month of which is not published, and one not known yet."""
    return made_evaluation(30, absent=(9,), unknown=1)


@pytest.fixture(scope="package")
def single() -> Evaluation:
    """One month."""
    return made_evaluation(1)
