"""Accounts from summaries of quarterly statements: trailing twelve months of flows, newest balance sheet."""

from __future__ import annotations

import logging

import polars as pl

from deepfactor.schemas import FUNDAMENTALS

LOGGER = logging.getLogger(__name__)

# A statement is put together with others at most this much older, by the months of their publication: what a table
# says must not depend on how much history was asked for.
PIECES_MONTHS = 18
CARRIED_MONTHS = 9
# … so this much is needed before the month in which a statement becomes known.
NEEDED_MONTHS = PIECES_MONTHS + CARRIED_MONTHS + 1

_STATEMENT = r"^(?:FY|[1-5]Q|OtherPeriod)FinancialStatements_(Consolidated|NonConsolidated)_(\w+)$"
_FLOWS = ("Sales", "OP", "OdP", "NP", "CFO")
# Years of 52 or 53 weeks end some days off, and a year and a day are still a year; nine or fifteen months are not.
_YEAR_DAYS = (350, 380)
_SAME_DAY = pl.duration(days=7)
_HALF_YEAR = pl.duration(days=190)


def accounts(statements: pl.DataFrame, *, carry_cash_flow: bool) -> pl.DataFrame:
    """Return the accounts that statements make known.

    Flows of a full year are taken as they are. Others, counted from the beginning of the fiscal year, become those of
    twelve months: these + the last full year − the same part of the last year, of statements published before. Where
    one of the three is missing, the last year was not one of twelve months, or it was not on the same consolidated or
    parent-only basis, the flow is null. The last year's two must be of one accounting standard, for they are
    subtracted; these may be of another.

    Parameters
    ----------
    statements
        Columns of :data:`deepfactor.sources.jquants.endpoints.STATEMENTS` and ``available_from``; those of
        :data:`NEEDED_MONTHS` before the first that is of interest, too.
    carry_cash_flow
        Whether a statement without cash flow keeps the trailing figure of one up to half a year older.

    Returns
    -------
    pl.DataFrame
        ``schemas.FUNDAMENTALS``. A correction is a row of its own, with its own ``available_from``; of several on one
        day the last counts.
    """
    trailing = _trailing(_reports(statements))
    if carry_cash_flow:
        trailing = _with_carried_cash_flow(trailing)
    # Banks and insurers report no operating profit.
    profit = pl.when(pl.col("OP").is_null()).then("trailing_OdP").otherwise("trailing_OP")
    return (
        trailing.sort("order")
        .select(
            security_id="Code",
            period_end="CurPerEn",
            available_from="available_from",
            net_income="trailing_NP",
            net_assets="Eq",
            operating_profit=profit,
            total_assets="TA",
            total_liabilities=pl.col("TA") - pl.col("Eq"),
            operating_cash_flow="trailing_CFO",
            sales="trailing_Sales",
        )
        .unique(FUNDAMENTALS.key, keep="last", maintain_order=True)
        .sort(FUNDAMENTALS.key)
    )


def _reports(statements: pl.DataFrame) -> pl.DataFrame:
    """Keep the statements among the documents, in the order of publication, with their own figures."""
    kind = pl.col("DocType").str.extract_groups(_STATEMENT)
    documents = statements.with_columns(
        consolidated=kind.struct.field("1") == "Consolidated", standard=kind.struct.field("2")
    )
    is_statement = (pl.col("standard") != "REIT").fill_null(value=False)
    others = documents.filter(~is_statement)["DocType"].value_counts(sort=True)
    if others.height:
        # Forecasts and their revisions, notices of dividends, funds: no accounts.
        LOGGER.info("J-Quants statements: left out %s", dict(others.rows()))
    parent = ~pl.col("consolidated")
    own = [
        pl.when(parent).then(pl.coalesce(name, f"NC{name}")).otherwise(name).alias(name)
        for name in ("Sales", "OP", "OdP", "NP", "TA", "Eq")
    ]
    length = pl.col("CurPerEn") - pl.col("CurPerSt")
    reports = documents.filter(is_statement).with_columns(own)
    whole = pl.col("CurPerEn").is_not_null() & pl.any_horizontal(pl.col(*_FLOWS, "TA", "Eq").is_not_null())
    if without := reports.filter(~whole).height:
        LOGGER.warning("J-Quants statements: left out %d without a period or any figure", without)
    return (
        reports.filter(whole)
        .sort("DiscDate", "DiscTime", "DiscNo", nulls_last=True)
        .with_row_index("order")
        .with_columns(
            cumulative=pl.col("CurPerSt") == pl.col("CurFYSt"),
            full_year=(pl.col("CurPerSt") == pl.col("CurFYSt"))
            & (pl.col("CurPerEn") == pl.col("CurFYEn"))
            & length.dt.total_days().is_between(*_YEAR_DAYS),
            year_before=pl.col("CurFYSt") - pl.duration(days=1),
            reaches_back=_months_before("DiscDate", PIECES_MONTHS),
        )
    )


def _trailing(reports: pl.DataFrame) -> pl.DataFrame:
    """Add ``trailing_…`` of every flow."""
    current = reports.filter("cumulative").select(
        "order", "Code", "consolidated", "CurPerEn", "year_before", "reaches_back"
    )
    year = reports.filter("full_year").select(
        "Code",
        "consolidated",
        "standard",
        year_before="CurPerEn",
        year_start="CurPerSt",
        **{f"year_{name}": pl.col(name) for name in _FLOWS},
        piece="order",
        published="DiscDate",
    )
    part = reports.filter("cumulative").select(
        "Code",
        "consolidated",
        "standard",
        year_start="CurPerSt",
        part_end="CurPerEn",
        **{f"part_{name}": pl.col(name) for name in _FLOWS},
        piece="order",
        published="DiscDate",
    )
    with_year = _newest(current.join(year, on=["Code", "consolidated", "year_before"]))
    same_part = (pl.col("part_end") - pl.col("CurPerEn").dt.offset_by("-12mo")).abs() <= _SAME_DAY
    pieces = _newest(
        with_year.join(part, on=["Code", "consolidated", "standard", "year_start"]).filter(same_part)
    ).select("order", *(f"{of}_{name}" for of in ("year", "part") for name in _FLOWS))
    return reports.join(pieces, on="order", how="left").with_columns(
        pl.when("full_year")
        .then(name)
        .otherwise(pl.col(name) + pl.col(f"year_{name}") - pl.col(f"part_{name}"))
        .alias(f"trailing_{name}")
        for name in _FLOWS
    )


def _newest(pairs: pl.DataFrame) -> pl.DataFrame:
    """Keep each statement's newest piece that was published before it, and not too long before."""
    known = (pl.col("piece") < pl.col("order")) & (pl.col("published") >= pl.col("reaches_back"))
    return (
        pairs.filter(known)
        .sort("order", "piece")
        .group_by("order", maintain_order=True)
        .last()
        .drop("piece", "published")
    )


def _with_carried_cash_flow(trailing: pl.DataFrame) -> pl.DataFrame:
    """Fill a missing trailing cash flow from the statement before."""
    given = trailing.filter(pl.col("trailing_CFO").is_not_null()).select(
        "Code", "consolidated", "order", given_end="CurPerEn", given_on="DiscDate", given_CFO="trailing_CFO"
    )
    age = pl.col("CurPerEn") - pl.col("given_end")
    near = age.is_between(pl.duration(days=0), _HALF_YEAR) & (
        pl.col("given_on") >= _months_before("DiscDate", CARRIED_MONTHS)
    )
    return (
        trailing.sort("order")
        .join_asof(given.sort("order"), on="order", by=["Code", "consolidated"], check_sortedness=False)
        .with_columns(trailing_CFO=pl.coalesce("trailing_CFO", pl.when(near).then("given_CFO")))
    )


def _months_before(day: str, months: int) -> pl.Expr:
    return pl.col(day).dt.truncate("1mo").dt.offset_by(f"-{months}mo")
