"""`hive status`: the swarm in a terminal."""
