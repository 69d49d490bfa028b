"""The source: which months of the service a table needs, and how they become the table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl

from deepfactor.config import INCLUDE, JQuantsConfig
from deepfactor.errors import SourceError
from deepfactor.months import Month, last_session, month_range
from deepfactor.schemas import CONSTITUENTS, MARKET, PRICES
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.client import KEY_VARIABLE, Client, OutsidePlan
from deepfactor.sources.jquants.dividends import known_dividends
from deepfactor.sources.jquants.endpoints import BARS, DIVIDENDS, STATEMENTS
from deepfactor.sources.jquants.history import History
from deepfactor.sources.jquants.prices import month_prices, splits_of
from deepfactor.sources.jquants.shares import share_counts, shares_outstanding
from deepfactor.sources.jquants.statements import NEEDED_MONTHS, accounts
from deepfactor.sources.jquants.trading_days import EXCHANGE

LOGGER = logging.getLogger(__name__)

# A share count, and the splits since, may be as old as the figures of a panel.
COUNT_MONTHS = 18
# A dividend is announced at most with the accounts of the year before.
NOTICE_MONTHS = 12


@dataclass(frozen=True)
class JQuantsSource:
    """The Japanese exchange's data service; a :class:`deepfactor.sources.base.Source`.

    What a month holds depends on what was published by its last session, and on a fixed number of months before it,
    never on the months that are asked for together with it.

    Attributes
    ----------
    archive
        The service, and what has been fetched of it.
    config
        What to take.
    """

    archive: Archive
    config: JQuantsConfig

    @classmethod
    def from_config(
        cls, config: JQuantsConfig, api_key: str | None = None, today: Callable[[], date] | None = None
    ) -> JQuantsSource:
        """Return the source that a configuration describes.

        Parameters
        ----------
        config
            What to take, and where from.
        api_key
            The service's key; None: that of the environment variable JQUANTS_API_KEY.
        today
            Returns the present day in Tokyo; None: by the clock.

        Raises
        ------
        ConfigurationError
            If there is no key, or the service's address cannot be right.
        """
        client = Client(
            api_key or os.environ.get(KEY_VARIABLE),
            base_url=config.base_url,
            requests_per_minute=config.requests_per_minute,
            statements_per_minute=config.statements_per_minute,
            timeout=config.timeout_seconds,
        )
        return cls(Archive(INCLUDE.parent / config.cache, client, today or _today_in_tokyo), config)

    def ready(self, month: Month) -> bool:
        """Tell whether the bars of the month's last session are there.

        Raises
        ------
        SourceError
            If the service refuses, or the month is before what the subscription covers.
        """
        day = last_session(month, EXCHANGE)
        try:
            bars = self.archive.read(BARS, [(day, day)])
        except OutsidePlan as error:
            if error.covered_from is not None and error.covered_from <= day:
                return False
            raise
        return bool(bars["C"].is_not_null().any())

    def datasets(self) -> tuple[str, ...]:
        """Return the names of all four datasets."""
        return ("prices", "fundamentals", "market", "constituents")

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        """Return the rows that became known in the given months, sorted by their key.

        Raises
        ------
        SourceError
            If the service refuses or does not have a session of these months, or answers with something else than
            its documentation says.
        """
        tables: dict[str, Callable[[Month, Month], pl.DataFrame]] = {
            "prices": self._prices,
            "fundamentals": self._fundamentals,
            "market": self._market,
            "constituents": self._constituents,
        }
        if dataset not in tables:
            raise SourceError(f"J-Quants has no {dataset}, only {', '.join(tables)}")
        table = tables[dataset](first_month, last_month)
        LOGGER.info("J-Quants %s: %d rows of %s to %s", dataset, table.height, first_month, last_month)
        return table

    def _prices(self, first_month: Month, last_month: Month) -> pl.DataFrame:
        history = History.open(self.archive, first_month, last_month, COUNT_MONTHS + 1)
        known = history.trading_days.known_from
        counts = share_counts(known(history.days(STATEMENTS, last_month, COUNT_MONTHS), "DiscDate", "DiscTime"))
        notices = DIVIDENDS.read([], "")
        if self.config.dividends:
            notices = history.days(DIVIDENDS, last_month, NOTICE_MONTHS)
        notices = known(notices, "PubDate", "PubTime")
        before = BARS.read([], "")
        splits = splits_of(before)
        tables = []
        for month in month_range(first_month + -COUNT_MONTHS, last_month):
            bars = history.bars(month)
            splits = pl.concat([splits, splits_of(bars)])
            if month >= first_month:
                # What leaves within the month keeps its last return; funds and the like are left out.
                stocks = pl.concat([self._stocks(history, each) for each in (month + -1, month)])
                public = pl.col("available_from") <= history.trading_days.of(month)[-1]
                prices = month_prices(
                    month,
                    before,
                    bars.join(stocks, on="Code", how="semi"),
                    known_dividends(notices.filter(public, _within("PubDate", month, NOTICE_MONTHS))),
                )
                shares = shares_outstanding(
                    counts.filter(public, _within("disclosed", month, COUNT_MONTHS)),
                    splits.filter(_within("ExDate", month, COUNT_MONTHS)),
                    prices,
                )
                tables.append(prices.drop("shares_outstanding").join(shares, on="Code", how="left"))
            before = bars
        return pl.concat(tables).select(*PRICES.columns).sort(PRICES.key)

    def _fundamentals(self, first_month: Month, last_month: Month) -> pl.DataFrame:
        history = History.open(self.archive, first_month, last_month, NEEDED_MONTHS)
        statements = history.days(STATEMENTS, last_month, NEEDED_MONTHS)
        known = history.trading_days.known_from(statements, "DiscDate", "DiscTime")
        table = accounts(known, carry_cash_flow=self.config.carry_cash_flow)
        return table.filter(pl.col("available_from").is_between(first_month.first_day, last_month.last_day))

    def _market(self, first_month: Month, last_month: Month) -> pl.DataFrame:
        history = History.open(self.archive, first_month, last_month, 1)
        closes = [history.index_close(month) for month in month_range(first_month + -1, last_month)]
        months = [month.first_day for month in month_range(first_month, last_month)]
        return pl.DataFrame(
            {
                "month": months,
                "market_return": [
                    after / before - 1 if before and after else None for before, after in pairwise(closes)
                ],
                "risk_free_rate": [self.config.risk_free_rate] * len(months),
            },
            schema=dict(MARKET.columns),
        )

    def _constituents(self, first_month: Month, last_month: Month) -> pl.DataFrame:
        history = History.open(self.archive, first_month, last_month, 0)
        members = [
            self._stocks(history, month)
            .filter(pl.col("Mkt").is_in(list(self.config.markets)))
            .select(month=pl.lit(month.first_day), security_id="Code")
            for month in month_range(first_month, last_month)
        ]
        return pl.concat(members).select(*CONSTITUENTS.columns).sort(CONSTITUENTS.key)

    def _stocks(self, history: History, month: Month) -> pl.DataFrame:
        return history.stocks(month, self.config.product_categories)


def _within(day: str, month: Month, months: int) -> pl.Expr:
    """Tell whether a day lies in the given number of months before a month's last day."""
    return pl.col(day).is_between((month + -months).first_day, month.last_day)


def _today_in_tokyo() -> date:
    """Return the day whose records may still change: the service adds a day's last statements after midnight."""
    return (datetime.now(ZoneInfo("Asia/Tokyo")) - timedelta(hours=6)).date()
