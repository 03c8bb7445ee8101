"""The engine: takes prompts as tokens, hands out tokens as they come; knows nothing of HTTP."""
