"""What an explanation says, in the form that terminal, JSON and page show."""

from __future__ import annotations

from dataclasses import dataclass

from deepfactor.months import Month


@dataclass(frozen=True)
class Contribution:
    """A part of the prediction: a factor's, a descriptor's (over lags), or a remainder's.

    Attributes
    ----------
    name
        Of the factor, descriptor or remainder.
    factor
        The descriptor's factor; the name itself for factors and remainders.
    contribution
        Signed, in units of return.
    dispersion
        Standard deviation across the ensemble's members.
    disputed
        Whether the members disagree on the sign.
    share
        Of the sum of absolute relevances over the inputs; none for a remainder.
    share_dispersion
        Standard deviation of the members' shares.
    """

    name: str
    factor: str
    contribution: float
    dispersion: float
    disputed: bool
    share: float | None = None
    share_dispersion: float | None = None


@dataclass(frozen=True)
class Driver:
    """An input that matters.

    Attributes
    ----------
    descriptor, lag, factor
        Which it is; the lag in calendar months.
    contribution, dispersion, disputed
        As of :class:`Contribution`.
    position
        The input: the rank within its month's universe, −½ to +½; a portfolio's is the weighted sum of its stocks'.
    known
        Of which part of the stocks, by size of weight, the descriptor is known; of the others the input is 0.
    value
        The descriptor itself at that month; none if it is not known, and for portfolios.
    unit
        What the value is counted in.
    words
        What the rank says.
    value_words
        What the value says; empty without one.
    """

    descriptor: str
    lag: int
    factor: str
    contribution: float
    dispersion: float
    disputed: bool
    position: float
    known: float
    value: float | None
    unit: str
    words: str
    value_words: str

    @property
    def input(self) -> str:
        """The input's name, such as ``PER@3``."""
        return f"{self.descriptor}@{self.lag}"


@dataclass(frozen=True)
class Movement:
    """How one account of the prediction moved since last month: ``after = before + inputs + model``.

    Attributes
    ----------
    account
        A factor or a remainder.
    before, after
        Last month's and this month's contribution, in units of return.
    inputs, model
        What came of what changed in the stock, and in the model.
    """

    account: str
    before: float
    inputs: float
    model: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """What changed since last month's published run; a portfolio has this month's weights in both.

    Attributes
    ----------
    month, run_id
        Last month and its run.
    before
        Last month's prediction, in units of return.
    movements
        Of each account, over the stocks that are in both months.
    entering, entered
        This month's prediction of the stocks that had none last month, and how many there are.
    """

    month: Month
    run_id: str
    before: float
    movements: tuple[Movement, ...]
    entering: float
    entered: int

    @property
    def inputs(self) -> float:
        """What came of what changed in the stocks, over all accounts."""
        return sum(each.inputs for each in self.movements)

    @property
    def model(self) -> float:
        """What came of what changed in the model, over all accounts."""
        return sum(each.model for each in self.movements)


@dataclass(frozen=True)
class Explanation:
    """Why a model predicts what it predicts of a stock or a portfolio.

    Attributes
    ----------
    month, model, run_id, rules
        The as-of month, the model, the run that published it, and by which rules relevance was propagated.
    members
        Number of networks in the ensemble.
    kind, name
        ``stock`` or ``portfolio``, and which.
    stocks, weights_sum, stocks_in_month
        Number of stocks with a weight, the sum of the weights (1 for a stock), and the number of stocks predicted.
    prediction, dispersion
        Total return of the month after, as a fraction, and the standard deviation across the members.
    rank, quintile
        Of a stock: 1 is the highest prediction, 5 the highest fifth; none for a portfolio.
    factors, descriptors, remainders
        The prediction's parts: factors and remainders add up to it, so do descriptors and remainders.
    drivers
        The inputs that matter most, the largest contribution first.
    comparison
        What changed since last month; none if it cannot be said.
    incomparable
        Why it cannot be said; empty if it can.
    """

    month: Month
    model: str
    run_id: str
    rules: tuple[str, ...]
    members: int
    kind: str
    name: str
    stocks: int
    weights_sum: float
    stocks_in_month: int
    prediction: float
    dispersion: float
    rank: int | None
    quintile: int | None
    factors: tuple[Contribution, ...]
    descriptors: tuple[Contribution, ...]
    remainders: tuple[Contribution, ...]
    drivers: tuple[Driver, ...]
    comparison: Comparison | None
    incomparable: str
