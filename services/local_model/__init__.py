"""The embedded default model: an OpenAI-compatible server that reads text layers and summarises by extraction."""
