"""What makes a worker a good guest at home: when it rests, how much it takes, what it declines."""
