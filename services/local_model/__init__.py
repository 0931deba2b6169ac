"""The embedded default model: an OpenAI-compatible server that reads pages, summarises by extraction, and speaks."""
