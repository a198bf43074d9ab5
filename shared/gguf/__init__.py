"""GGUF files without llama.cpp: what a header says, read defensively, and what the model needs."""
