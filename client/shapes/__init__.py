"""What Hive takes and answers, field by field as its OpenAPI document says; a test compares the two.

A field that is new has a default here, so that a client may be newer than the Hive that it asks.
"""
