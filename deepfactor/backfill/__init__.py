"""Many months through Airflow: its own backfill, planned, followed and explained."""
