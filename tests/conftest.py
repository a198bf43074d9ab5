"""Fixtures of the whole suite: the one PostgreSQL server that all test processes share."""

from hypothesis import settings

from tests.support_postgres import database_url, engine, postgres_server

# How long an example takes says what else runs on the machine; a test as a whole has its time limit.
settings.register_profile("hive", deadline=None)
settings.load_profile("hive")

__all__ = ["database_url", "engine", "postgres_server"]
