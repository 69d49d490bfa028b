"""Many months without Airflow, for research: the steps of the monthly run, months and models in parallel."""
