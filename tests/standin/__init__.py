"""The stand-in model: a real HTTP server that speaks the OpenAI API and misbehaves on command."""
