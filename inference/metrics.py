"""Prometheus metrics of the server and its engine."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inference.engine.engine import Gauges

LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry a server, so that nothing is global. Times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("slipway_requests", "Answered requests.", ["route", "status"], registry=self.registry)
        self.refused = Counter(
            "slipway_refused", "Requests refused because the queue was full.", registry=self.registry
        )
        self.cancelled = Counter("slipway_cancelled", "Requests whose client went away.", registry=self.registry)
        self.first_token = Histogram(
            "slipway_first_token_seconds", "Time to the first token.", registry=self.registry, buckets=LATENCIES
        )
        self.duration = Histogram(
            "slipway_request_seconds", "Time of a whole answer.", registry=self.registry, buckets=LATENCIES
        )
        self._gauges = {
            name: Gauge(f"slipway_{name}", text, registry=self.registry) for name, text in GAUGE_TEXTS.items()
        }

    def render(self, gauges: Gauges | None, in_flight: int, gpu: list[Metric]) -> bytes:
        """`gpu` are the GPU's own figures; without a GPU there are none."""
        self._gauges["in_flight"].set(in_flight)
        if gauges is not None:
            for name, value in gauge_values(gauges):
                self._gauges[name].set(value)
        own = CollectorRegistry()
        own.register(Given(gpu))
        return generate_latest(self.registry) + generate_latest(own)


class Given(Collector):
    """Metrics that have been read already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


GAUGE_TEXTS = {
    "in_flight": "Requests admitted and not yet answered.",
    "running": "Sequences in the running batch.",
    "waiting": "Sequences waiting for the batch.",
    "kv_blocks_used": "KV cache blocks owned by sequences.",
    "kv_blocks": "KV cache blocks in all.",
    "preemptions": "Sequences put back because blocks ran out, since the start.",
    "steps": "Engine steps since the start.",
    "prompt_tokens": "Prompt tokens taken since the start.",
    "generated_tokens": "Tokens drawn since the start.",
}


def gauge_values(gauges: Gauges) -> Iterator[tuple[str, int]]:
    yield "running", gauges.running
    yield "waiting", gauges.waiting
    yield "kv_blocks_used", gauges.blocks_used
    yield "kv_blocks", gauges.blocks
    yield "preemptions", gauges.preemptions
    yield "steps", gauges.steps
    yield "prompt_tokens", gauges.prompt_tokens
    yield "generated_tokens", gauges.generated_tokens
