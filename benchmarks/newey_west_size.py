"""How often tests of a mean at 5 % reject where it is zero: Newey and West's t, by what it is held against.

    .venv/bin/python benchmarks/newey_west_size.py

Series are normal, independent or autoregressive of the first order. Held against each other:

- ``t``: the t of ``significance.mean_test``, 4 (T / 100)^(2/9) lags, by Student's t with T − 1 degrees of freedom;
- ``fixed b``: the same by Kiefer and Vogelsang's (2005) distribution for a share of lags that stays the same;
- ``product``: the same by the distribution that ``mean_test`` takes, Satterthwaite's, and its critical t;
- ``long``: with 1.3 √T for the lags plus one (Lazarus, Lewis, Stock and Watson 2018), by Satterthwaite's;
- ``cosines``: the equally weighted cosine transforms of the same authors, B = .4 T^(2/3), by Student's t with B
  degrees; it is no Newey-West t.
"""

from __future__ import annotations

import argparse
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from deepfactor.evaluation.significance import critical_t, mean_test, newey_west_lags

_F64 = NDArray[np.float64]

MONTHS = (12, 24, 30, 36, 60, 120)
CORRELATIONS = (0.0, 0.1, 0.3, 0.5)


def autoregressive(series: int, months: int, correlation: float, seed: int) -> _F64:
    """Return normal series with a mean of zero, shape (series, months), whose first month is like any other."""
    values = np.random.default_rng([seed, months]).standard_normal((series, months))
    values[:, 0] /= sqrt(1 - correlation**2)
    for month in range(1, months):
        values[:, month] += correlation * values[:, month - 1]
    return values


def newey_west_t(series: _F64, lags: int) -> _F64:
    """Return the t of each series as ``significance.mean_test`` does, in one product."""
    months = series.shape[1]
    apart = np.abs(np.subtract.outer(np.arange(months), np.arange(months)))
    deviations = series - series.mean(axis=1, keepdims=True)
    form = (deviations @ np.clip(1 - apart / (lags + 1), 0, None) * deviations).sum(axis=1)
    return np.asarray(series.mean(axis=1) / np.sqrt(form / (months * (months - 1))))


def cosines_t(series: _F64) -> tuple[_F64, int]:
    """Return the t of each series from its low frequencies, and their number."""
    months = series.shape[1]
    count = max(int(0.4 * months ** (2 / 3)), 1)
    waves = np.cos(np.pi * np.outer(np.arange(1, count + 1), np.arange(months) + 0.5) / months) * sqrt(2 / months)
    return series.mean(axis=1) * sqrt(months) / np.sqrt(((series @ waves.T) ** 2).mean(axis=1)), count


def fixed_b_critical_t(months: int, lags: int) -> float:
    """Return the 97.5th percentile for Bartlett's kernel (Kiefer, Vogelsang 2005, table 1), whose variance is by T."""
    share = (lags + 1) / months
    return (1.96 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3) * sqrt((months - 1) / months)


def shares(series: _F64) -> dict[str, float]:
    """Return the share of rejections by method."""
    months = series.shape[1]
    lags, long = newey_west_lags(months), ceil(1.3 * sqrt(months)) - 1
    t, of_long = np.abs(newey_west_t(series, lags)), np.abs(newey_west_t(series, long))
    of_cosines, count = cosines_t(series)
    return {
        "t": float((t > stdtrit(months - 1, 0.975)).mean()),
        "fixed b": float((t > fixed_b_critical_t(months, lags)).mean()),
        "product": float((t > critical_t(months)).mean()),
        "long": float((of_long > critical_t(months, long)).mean()),
        "cosines": float((np.abs(of_cosines) > stdtrit(count, 0.975)).mean()),
    }


def check(series: _F64) -> None:
    """Stop if this t is not the product's."""
    ours = [test.mean.t for each in series[:100] if (test := mean_test(each))]
    np.testing.assert_allclose(newey_west_t(series[:100], newey_west_lags(series.shape[1])), ours, rtol=1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100_000)
    arguments = parser.parse_args()
    print("| months | lags | autocorrelation | t | fixed b | product | critical t | long | critical t | cosines |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for months in MONTHS:
        lags, long = newey_west_lags(months), ceil(1.3 * sqrt(months)) - 1
        for correlation in CORRELATIONS:
            series = autoregressive(arguments.series, months, correlation, seed=0)
            check(series)
            found = {name: f"{share:.1%}" for name, share in shares(series).items()}
            print(
                f"| {months} | {lags} | {correlation:.1f} | {found['t']} | {found['fixed b']} | {found['product']} "
                f"| {critical_t(months):.2f} | {found['long']} | {critical_t(months, long):.2f} | {found['cosines']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
