"""Logits to tokens: every row by its own request's parameters, independent of the rows beside it."""

import math
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.engine.schedule.sequence import Choice, SamplingParams, Sequence
from inference.engine.text.grammar import GrammarError

NO_TOKEN = -1
"""In the place of the likeliest token, where the largest number is none: NaN wins every comparison, and then anything would be
said."""
NOT_FINITE = "the model's numbers are no longer finite, so no token can be chosen (its type may overflow)"
CANDIDATES = 256  # enough for almost every nucleus, and 20 times cheaper than sorting the vocabulary


def sample(logits: Tensor, sequences: Rows[Sequence]) -> list[Choice]:
    """One token a row. `logits` is float32 [rows, vocabulary] and may be written to.

    A row whose grammar cannot be followed any further gets a choice that says so; the others are not affected.
    """
    masks, errors = masks_of(sequences)  # before anything that waits for a GPU
    wanted = [index for index, s in enumerate(sequences) if s.params.logprobs is not None]
    raw = {index: torch.log_softmax(logits[index].double(), dim=-1) for index in wanted}
    for index, sequence in enumerate(sequences):
        if sequence.params.penalised or sequence.params.logit_bias:
            adjust(logits[index], sequence)
    for index, mask in masks.items():
        forbid(logits[index], mask)
    tokens = likeliest(logits)
    errors |= {index: NOT_FINITE for index, token in enumerate(tokens) if token == NO_TOKEN and index not in errors}
    drawn = [index for index, s in enumerate(sequences) if not s.params.greedy and index not in errors]
    if drawn:
        rows = logits if len(drawn) == len(sequences) else logits[drawn]
        for index, token in zip(drawn, draw(rows, [sequences[i] for i in drawn]), strict=True):
            tokens[index] = token
    return [
        Choice(0, error=errors[index])
        if index in errors
        else report(raw[index], token, sequence.params.logprobs or 0)
        if index in raw
        else Choice(token)
        for index, (token, sequence) in enumerate(zip(tokens, sequences, strict=True))
    ]


def masks_of(sequences: Rows[Sequence]) -> tuple[dict[int, bytearray], dict[int, str]]:
    """For each row that follows a grammar, what is allowed next, or why that cannot be told."""
    masks: dict[int, bytearray] = {}
    errors: dict[int, str] = {}
    for index, sequence in enumerate(sequences):
        if sequence.matcher is not None:
            try:
                masks[index] = sequence.matcher.allowed()
            except GrammarError as error:
                errors[index] = str(error)
    return masks, errors


def forbid(row: Tensor, allowed: bytearray) -> None:
    """Takes away what the grammar does not allow, and what the tokenizer has no token for."""
    known = min(len(allowed), len(row))
    mask = torch.frombuffer(allowed, dtype=torch.uint8)[:known].to(row.device) == 0
    row[:known].masked_fill_(mask, -math.inf)
    row[known:] = -math.inf


def likeliest(logits: Tensor) -> list[int]:
    """Each row's largest entry, the first of equals; NO_TOKEN where that is no number. On a CPU numpy finds it ten times
    faster than torch."""
    if logits.device.type != "cpu":
        return whole_numbers(best_of(logits))
    found: Any = logits.numpy()
    places = found.argmax(-1)
    largest = numbers(found[range(len(places)), places])
    return [
        place if math.isfinite(value) else NO_TOKEN for place, value in zip(whole_numbers(places), largest, strict=True)
    ]


def best_of(logits: Tensor) -> Tensor:
    """The same, without looking at it here: it may be captured in a graph."""
    largest, places = logits.max(dim=-1)
    return torch.where(largest.isfinite(), places, NO_TOKEN)


def as_choice(token: int) -> Choice:
    """Of a row of which nothing but the likeliest token is asked."""
    return Choice(token) if token != NO_TOKEN else Choice(0, error=NOT_FINITE)


def adjust(row: Tensor, sequence: Sequence) -> None:
    """Penalties and biases in place. Presence and frequency count what was generated, repetition the prompt too."""
    params = sequence.params
    if params.repetition_penalty != 1.0:
        seen = torch.tensor(list(set(sequence.tokens)), device=row.device)
        values = row[seen]
        penalty = params.repetition_penalty
        row[seen] = torch.where(values > 0, values / penalty, values * penalty)
    generated = sequence.tokens[sequence.prompt_length :]
    if generated and (params.presence_penalty or params.frequency_penalty):
        counts: dict[int, int] = {}
        for token in generated:
            counts[token] = counts.get(token, 0) + 1
        index = torch.tensor(list(counts), device=row.device)
        amount = [params.presence_penalty + params.frequency_penalty * number for number in counts.values()]
        row[index] -= torch.tensor(amount, device=row.device)
    if params.logit_bias:
        index = torch.tensor(list(params.logit_bias), device=row.device)
        row[index] += torch.tensor(list(params.logit_bias.values()), device=row.device)


@dataclass(frozen=True)
class Columns:
    """The parameters of several rows as columns, so that all rows are drawn at once."""

    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    uniform: Tensor

    def of(self, rows: Tensor) -> "Columns":
        return Columns(self.temperature[rows], self.top_k[rows], self.top_p[rows], self.min_p[rows], self.uniform[rows])


def columns_for(sequences: Rows[Sequence], vocabulary: int, device: torch.device) -> Columns:
    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device).unsqueeze(1)

    params = [s.params for s in sequences]
    return Columns(
        column([p.temperature for p in params]),
        column([p.top_k or vocabulary for p in params]),
        column([p.top_p for p in params]),
        column([p.min_p for p in params]),
        column([s.random.random() for s in sequences]),
    )


def draw(logits: Tensor, sequences: Rows[Sequence]) -> list[int]:
    """Draws a token a row by inverting the cumulative distribution over the tokens that top-k, top-p and min-p leave."""
    vocabulary = logits.shape[-1]
    columns = columns_for(sequences, vocabulary, logits.device)
    scaled = logits.double() / columns.temperature
    if all(unrestricted(s.params) for s in sequences):
        cumulative = torch.softmax(scaled, dim=-1).cumsum(dim=-1)
        return whole_numbers(invert(cumulative, columns.uniform))
    total = torch.logsumexp(scaled, dim=-1, keepdim=True)
    few = min(CANDIDATES, vocabulary)
    values, tokens = scaled.topk(few, dim=-1)
    probabilities = (values - total).exp()
    enough = (columns.top_k <= few) | (probabilities.sum(dim=-1, keepdim=True) >= columns.top_p)
    if few == vocabulary or bool(enough.all()):
        return pick(probabilities, tokens, columns)
    chosen = torch.tensor(pick(probabilities, tokens, columns), device=logits.device)
    rest = (~enough.squeeze(1)).nonzero().squeeze(1)
    values, tokens = scaled[rest].sort(dim=-1, descending=True, stable=True)
    chosen[rest] = torch.tensor(pick((values - total[rest]).exp(), tokens, columns.of(rest)), device=logits.device)
    return whole_numbers(chosen)


def pick(probabilities: Tensor, tokens: Tensor, columns: Columns) -> list[int]:
    """Draws from candidates in falling order of probability. Top-k first, then top-p of what it left, then min-p."""
    rank = torch.arange(probabilities.shape[-1], device=probabilities.device)
    kept = torch.where(rank < columns.top_k, probabilities, 0.0)
    scale = torch.where(columns.top_k <= probabilities.shape[-1], kept.sum(dim=-1, keepdim=True), 1.0)
    before = kept.cumsum(dim=-1) - kept
    kept = torch.where((before < columns.top_p * scale) | (rank == 0), kept, 0.0)  # the likeliest stays at top-p 0 too
    kept = torch.where(kept >= columns.min_p * kept[:, :1], kept, 0.0)
    place = invert(kept.cumsum(dim=-1), columns.uniform)
    return whole_numbers(tokens.gather(1, place.unsqueeze(1)).squeeze(1))


def invert(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """The first place at which the cumulative sum exceeds the uniform share of the whole."""
    target = uniform * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1).squeeze(1)


def unrestricted(params: SamplingParams) -> bool:
    return params.top_k == 0 and params.top_p >= 1.0 and params.min_p <= 0.0


def report(logprobs: Tensor, token: int, number: int) -> Choice:
    """The token with its logprob, and the `number` likeliest ones."""
    top: tuple[tuple[int, float], ...] = ()
    if number:
        values, tokens = logprobs.topk(number)
        # Two copies from a GPU, not one for each number.
        top = tuple((token, finite(value)) for token, value in zip(whole_numbers(tokens), numbers(values), strict=True))
    return Choice(token, finite(float(logprobs[token])), top)


def reports(logits: Tensor, tokens: list[int], number: int) -> list[Choice]:
    """For each row a given token with its logprob, and the `number` likeliest ones."""
    logprobs = torch.log_softmax(logits.double(), dim=-1)
    return [report(row, token, number) for row, token in zip(logprobs, tokens, strict=True)]


def whole_numbers(tensor: Any) -> list[int]:
    """A tensor's elements; torch leaves the type of `tolist` open."""
    return tensor.tolist()


def numbers(tensor: Any) -> list[float]:
    """The same for fractions."""
    return tensor.tolist()


def finite(value: float) -> float:
    """JSON has no infinity; the API writes -9999 for what cannot happen."""
    return value if math.isfinite(value) else -9999.0
