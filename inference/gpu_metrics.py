"""The GPU's own figures for /metrics, read through NVML when they are asked for; what cannot be read is left out."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

log = logging.getLogger(__name__)

REASONS = {  # NVML's names for why the clocks are lower than they could be
    "idle": "nvmlClocksEventReasonGpuIdle",
    "power_cap": "nvmlClocksEventReasonSwPowerCap",
    "hardware_slowdown": "nvmlClocksEventReasonHwSlowdown",
    "hardware_thermal": "nvmlClocksEventReasonHwThermalSlowdown",
    "hardware_power_brake": "nvmlClocksEventReasonHwPowerBrakeSlowdown",
    "software_thermal": "nvmlClocksEventReasonSwThermalSlowdown",
}


@dataclass(frozen=True)
class Reading:
    """One figure: the metric's name, its help text, labels and value."""

    name: str
    text: str
    labels: dict[str, str]
    value: float


class Gpu:
    """The GPU of this process. `library` is pynvml, or what answers like it."""

    def __init__(self, uuid: str, library: Any) -> None:
        self._uuid = uuid
        self._nvml = library
        self._open = False
        self._given_up = False
        self.errors = 0

    def read(self) -> list[Reading]:
        """Every figure that NVML gives now. Takes milliseconds, on a GPU in trouble longer: not for the event loop."""
        if not self._ready():
            return []
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(self._uuid)
        except nvml.NVMLError as error:
            self._failed("the device", error)
            return []
        readings: list[Reading] = []
        for what, figures in (
            ("name", self._name),
            ("memory", self._memory),
            ("utilisation", self._load),
            ("temperature", self._temperature),
            ("power", self._power),
            ("throttling", self._throttling),
        ):
            try:
                readings.extend(figures(handle))
            except nvml.NVMLError_NotSupported:  # this model of GPU never gives it: no error
                continue
            except nvml.NVMLError as error:
                self._failed(what, error)
        return readings

    def _ready(self) -> bool:
        if self._open or self._given_up:
            return self._open
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            self._given_up = isinstance(error, self._nvml.NVMLError_LibraryNotFound)
            log.info("no figures of the GPU in /metrics: %s", error)
            if not self._given_up:
                self.errors += 1
            return False
        self._open = True
        return True

    def _failed(self, what: str, error: Exception) -> None:
        self.errors += 1
        log.debug("NVML does not give %s: %s", what, error)

    def _name(self, handle: Any) -> Iterator[Reading]:
        labels = {"name": str(self._nvml.nvmlDeviceGetName(handle)), "uuid": self._uuid}
        yield Reading("info", "The GPU in use.", labels, 1)

    def _memory(self, handle: Any) -> Iterator[Reading]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        yield Reading("memory_used_bytes", "GPU memory in use, by all processes.", {}, memory.used)
        yield Reading("memory_total_bytes", "GPU memory in all.", {}, memory.total)

    def _load(self, handle: Any) -> Iterator[Reading]:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(handle)
        yield Reading("utilisation_ratio", "Share of the last moments in which a kernel ran.", {}, rates.gpu / 100)

    def _temperature(self, handle: Any) -> Iterator[Reading]:
        degrees = self._nvml.nvmlDeviceGetTemperature(handle, self._nvml.NVML_TEMPERATURE_GPU)
        yield Reading("temperature_celsius", "Temperature of the GPU.", {}, degrees)

    def _power(self, handle: Any) -> Iterator[Reading]:
        yield Reading("power_watts", "Power drawn.", {}, self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000)

    def _throttling(self, handle: Any) -> Iterator[Reading]:
        mask: int = self._nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        for reason, name in REASONS.items():
            bit: int = getattr(self._nvml, name)
            yield Reading(
                "throttled", "Why clocks are lowered: 1 where it applies.", {"reason": reason}, int(bool(mask & bit))
            )


def find_gpu(uuid: str) -> Gpu | None:
    """The GPU of that name in NVML; None without the package."""
    try:
        import pynvml  # noqa: PLC0415  (only there for a GPU)
    except ImportError:
        log.info("no figures of the GPU in /metrics: nvidia-ml-py is not installed")
        return None
    return Gpu(uuid, pynvml)


def families(gpu: Gpu, readings: list[Reading]) -> Iterator[Metric]:
    """The readings in Prometheus' terms, and how many could not be had since the start."""
    gauges: dict[str, GaugeMetricFamily] = {}
    for reading in readings:
        labels = list(reading.labels)
        gauge = gauges.setdefault(
            reading.name, GaugeMetricFamily(f"slipway_gpu_{reading.name}", reading.text, labels=labels)
        )
        gauge.add_metric(list(reading.labels.values()), reading.value)
    yield from gauges.values()
    yield CounterMetricFamily("slipway_nvml_errors", "Figures that NVML did not give.", value=gpu.errors)
