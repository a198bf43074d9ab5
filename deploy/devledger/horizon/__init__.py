"""Horizon's HTTP face on the local ledger."""
