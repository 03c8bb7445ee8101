"""Names that several rooms and the wire share: clouds, the states of an endpoint, the phases of a server that starts."""

from __future__ import annotations

from typing import Literal, TypeGuard, get_args

ALIVE = "slipway/alive"
"""The request by which a client asks for a sign of life; whoever has hung can't answer it."""

CloudName = Literal["auto", "local", "azure", "azureChina", "azureUSGovernment"]

AzureCloud = Literal["azure", "azureChina", "azureUSGovernment"]
"""Those that a person signs in to."""

State = Literal[
    "not-provisioned",
    "missing",
    "stopped",
    "asleep",
    "starting",
    "waiting-for-first-deploy",
    "ready",
    "failed",
    "unverified",
]
"""What an endpoint is, as far as can be told."""

Phase = Literal[
    "waiting-for-first-deploy",
    "dependencies",
    "checking",
    "fetching-base",
    "loading-base",
    "loading-adapters",
    "warming-up",
    "ready",
    "failed",
]
"""How far a server has come: the bootstrap's own word first, then the model server's. `tests/drift.py` compares with both."""

LogSource = Literal["console", "system"]
"""What containers write, and what the platform tells of them."""

Verdict = Literal["PASS", "WARN", "FAIL", "UNVERIFIED"]
"""Of a check of the set-up. What could not be read is UNVERIFIED, whatever it may be."""

PlanAction = Literal["create", "update", "unchanged", "delete"]
"""What a plan does with a resource."""

BicepCompiler = Literal["cli", "own"]
BicepWish = Literal["auto", "cli", "own"]
BicepOutcome = Literal["compiled", "refused", "outside", "failed"]
"""What a compiler does with a file. Outside: ours does not know what it holds. Failed: the compiler itself."""

Remedy = Literal["start", "deploy", "provision", "rollback", "logs", "systemLogs"]
"""A command that may put right what keeps an endpoint from being ready."""

OperationKind = Literal["provision", "deploy", "rollback", "delete", "rotate", "start", "stop"]
"""What is written down step by step, so that the next window can tell what became of it."""

SnippetLanguage = Literal["url", "curl", "python", "javascript"]
"""In which a call of the model is copied."""

RemovableKind = Literal["app", "releases", "mount", "environment", "logs", "share", "account"]
"""What *Delete inference resources* may take away, in the order in which it goes: nothing before what uses it."""

ChatRole = Literal["system", "user", "assistant"]
"""Who says a message of a conversation."""

ChatFinish = Literal["stop", "length", "stopped"]
"""How an answer ended: by itself, at the most tokens that were asked for, or because the person stopped it."""

ModelKind = Literal["adapter", "base"]
"""What a folder holds that is uploaded."""

RestartWay = Literal["wake", "rolling", "old-first", "new"]
"""`new`: a revision that was just made starts by itself; all its replicas are new."""

Strategy = Literal["in-place", "revision", "restart"]
"""How a release comes into service: the server exchanged in its container; a new revision beside the old; a restart."""

StrategyWish = Literal["auto", "in-place", "revision", "restart"]
"""What the person has set. `auto`: what loses the least, of what is possible."""

ExchangeForm = Literal["beside", "in turn"]
"""Of an exchange in place: both servers for a moment, or the old one first."""

ExchangeState = Literal["idle", "starting", "checked", "exchanging", "done", "failed"]
"""The supervisor's words for how far an exchange has come."""

ReleaseCause = Literal["deploy", "rollback", "failed"]
"""Why a release became current; `failed`: in place of one that had failed."""

LeftOutWhy = Literal["secret", "model", "ignored"]
"""Why a file of the code's folder does not travel."""

LogLevel = Literal["debug", "info", "warning", "error"]

CLOUDS: tuple[CloudName, ...] = get_args(CloudName)
PHASES: tuple[Phase, ...] = get_args(Phase)
DefaultsOrigin = Literal["finetuning", "inference", "choice"]
"""What says where a project was provisioned so far: its files, or what the person chose last."""

OPERATIONS: tuple[OperationKind, ...] = get_args(OperationKind)
STRATEGIES: tuple[StrategyWish, ...] = get_args(StrategyWish)
EXCHANGE_STATES: tuple[ExchangeState, ...] = get_args(ExchangeState)


def is_exchange_state(word: object) -> TypeGuard[ExchangeState]:
    """Whether a supervisor's word is one of ours."""
    return word in EXCHANGE_STATES


def is_phase(word: object) -> TypeGuard[Phase]:
    """Whether a server's word is one of ours: another version, or another server, may have words of its own."""
    return word in PHASES


CiFate = Literal["created", "replaced", "unchanged"]
"""What became of the workflow of a pipeline; an edited one is refused."""

FileFate = Literal["added", "replaced", "merged", "removed", "conflict", "kept", "deleted", "same"]
"""What becomes of a project's file when a newer Slipway brings others. `kept`: with the person's edits; `deleted`: by them."""

Measure = Literal[
    "passes",
    "exact",
    "contains",
    "regex",
    "schema",
    "tokenF1",
    "rougeL",
    "chrf",
    "bleu",
    "answered",
    "finished",
    "characters",
    "tokens",
    "latency",
    "tokensPerSecond",
]
"""What is measured of an answer. `passes`: it is all that its row demands; `finished`: the model ended it by itself."""

MEASURES: tuple[Measure, ...] = get_args(Measure)

EvaluationOutcomeWord = Literal["passed", "failed", "unjudged"]
"""Of one row: the models answered as it demands, or not; or it says nothing of a good answer, or could not be judged."""

EvaluationWord = Literal["better", "worse", "can't tell"]
"""What an evaluation says of one model against another."""
