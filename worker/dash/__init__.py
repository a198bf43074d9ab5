"""The worker's picture in a terminal, its keys, and the plain lines for where there is none."""
