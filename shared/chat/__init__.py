"""Chat as a model means it: its template, its tool calls and reasoning, and what its answer is held to. Pure."""
