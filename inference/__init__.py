"""The inference server: a base model and its LoRA adapters behind an OpenAI-compatible API and a chat page."""
