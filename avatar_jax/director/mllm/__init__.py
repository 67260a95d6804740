"""The director that asks a multimodal language model: in this process, or behind an OpenAI-compatible server."""
