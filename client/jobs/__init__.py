"""`hive jobs`: durable jobs from a terminal."""
