"""Fixtures of the whole suite: the one PostgreSQL server that all test processes share."""

from tests.support_postgres import database_url, engine, postgres_server

__all__ = ["database_url", "engine", "postgres_server"]
