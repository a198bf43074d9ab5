"""`hive chat`: one question, or a conversation in a terminal."""
