"""hive-nano: a chat model of a few megabytes that this project trains for its tests and its first run."""
