"""What Hive takes and answers, field by field as its OpenAPI document says; a test compares the two."""
