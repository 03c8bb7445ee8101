"""One request's life in the engine: what was asked, which tokens it has, where it stands."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from random import Random
from typing import Literal

from inference.engine.text.grammar import Grammar, Matcher

COLD = 1e-6  # temperatures below are 0
FinishReason = Literal["stop", "length", "cancelled", "error"]


class Status(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn. Temperature 0 is greedy; top_k 0 means every token; logprobs None means none are reported."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    grammar: Grammar | None = None  # what the answer must follow
    special: bool = False  # whether special tokens are written in the answer's text
    prompt_logprobs: int | None = None  # the same as `logprobs`, of the prompt's own tokens

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken: so near to 0, dividing by the temperature leaves no finite number."""
        return self.temperature < COLD

    @property
    def penalised(self) -> bool:
        return bool(self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1.0)


@dataclass(frozen=True)
class Choice:
    """A drawn token; logprobs of the model's own distribution, in nats, when they were asked for."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    error: str = ""  # why no token could be drawn for this request


@dataclass(eq=False)
class Sequence:
    """A prompt and what was generated for it. `computed` tokens have their keys and values in the cache."""

    id: int
    tokens: list[int]
    prompt_length: int
    params: SamplingParams
    adapter: int  # the adapter's slot; 0 is the base
    _: KW_ONLY
    salt: int  # equal salts may share cached prefixes: one for each adapter that was ever loaded
    random: Random
    rope: int = 0  # which table of rotations: 1 when longrope's long factors are needed
    status: Status = Status.WAITING
    computed: int = 0
    cached: int = 0  # prompt tokens that a prefix hit saved
    blocks: list[int] = field(default_factory=list[int])
    sealed: int = 0  # leading blocks that are registered for sharing
    seal_key: int = 0
    matcher: Matcher | None = None  # how far the answer has followed its grammar
    scores: dict[int, Choice] = field(default_factory=dict[int, Choice])
    """How likely its own tokens were, by place, where that was asked for."""

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens that the model has not seen yet: 1 while decoding."""
        return len(self.tokens) - self.computed
