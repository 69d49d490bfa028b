"""The embedded laptop stack: PostgreSQL, an S3 endpoint and Airflow on loopback, all under ``.local/``."""
