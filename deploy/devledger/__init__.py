"""A local Stellar ledger of one node with Horizon's HTTP face: for `hive up`, tests and CI, never for real money.

The order of checks, the result codes and the result XDR follow stellar-core (protocol 27); the JSON follows Horizon.
What it leaves out: offers, path payments, pools, Soroban, clawback, account merge, revoking of sponsorship, and
signers that are not Ed25519 keys. Operations of those kinds are answered with `op_not_supported`.
"""
