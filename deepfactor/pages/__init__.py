"""Pages in Airflow's UI: what they read of the store, and how they show it. Imports no Airflow."""
