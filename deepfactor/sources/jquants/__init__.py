"""J-Quants, the Japanese exchange's own data service, as a source: version 2 of its API.

Amounts are in yen, as the service gives them. What a month holds follows from what was published by its last session;
nothing that is published later, and no later split, changes a month that has been fetched.

==========================  ======================  ==================================================================
ours                        the service's           how
==========================  ======================  ==================================================================
prices.close                bars: C                 last trade of the month, as quoted
prices.total_return         bars: C, AdjFactor;     last close of the month before to last close of the month; split
                            dividends: DivRate,     on the ex-date, dividend reinvested on the ex-date, of the amount
                            ExDate                  announced by the month's last session
prices.volume               bars: Vo                sum over the month, shares as traded
prices.traded_value         bars: Va                sum over the month
prices.shares_outstanding   statements: ShOutFY,    issued less treasury, of the newest period published by the last
                            TrShFY; bars:           session and within 18 months; times the splits since
                            AdjFactor
prices.market_value         –                       null: close × shares_outstanding
fundamentals.period_end     statements: CurPerEn
fundamentals.available_from DiscDate, DiscTime      first session that closes after the disclosure
fundamentals.net_income     NP                      trailing twelve months
fundamentals.sales          Sales                   trailing twelve months
….operating_profit          OP, else OdP            trailing twelve months; OdP where the statement has no OP (banks)
….operating_cash_flow       CFO                     trailing twelve months
fundamentals.net_assets     Eq                      at the period's end
fundamentals.total_assets   TA                      at the period's end
….total_liabilities         TA − Eq                 the summary has no liabilities
market.market_return        TOPIX: C                month-end to month-end, a price return
market.risk_free_rate       –                       ``source.jquants.risk_free_rate``
constituents                master: Code, Mkt,      listed on the last session, a common stock (fifth character of the
                            ProdCat                 code 0) of ``product_categories`` in one of ``markets``
==========================  ======================  ==================================================================

A statement of a parent-only company has its figures in the columns of NC…, where the others are empty. Prices are
those of common stocks of every market, so that a stock has its history when it becomes a constituent.

Known to be missing, or different from other vendors:

- The service begins on 2008-05-07, dividends in 2013: returns before are price returns. A dividend that was announced
  after the month of its ex-date, or not as an amount, is in no return; one that was decided at another amount than
  forecast counts as forecast.
- Most first and third quarters have no cash flow statement: see ``carry_cash_flow``.
- The total return is one number a month (``total_return``) and no index: an index would change all old months with
  every new first month. Across months without a trade there is none.
- A correction of an older period changes the trailing figures of newer ones only with their next statement.
- A stock split within a month adds shares of both kinds in ``volume``.
- Where the service corrects a day that has been fetched, the cache keeps the old one: delete the day's file.
- Free, Light and Standard plans do not reach the 133 months back that a month needs.
"""

from deepfactor.sources.jquants.source import JQuantsSource

__all__ = ["JQuantsSource"]
