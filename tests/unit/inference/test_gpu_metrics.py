"""The GPU's figures in /metrics: units and names, and absence where NVML gives nothing. NVML itself is recorded values."""

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from inference.gpu_metrics import Gpu, families, find_gpu
from inference.metrics import Metrics

RECORDED = {
    "nvmlInit": None,
    "nvmlDeviceGetHandleByUUID": "handle",
    "nvmlDeviceGetName": "NVIDIA T4",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=3 << 30, total=16 << 30, free=13 << 30),
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=42, memory=7),
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetPowerUsage": 68500,
    "nvmlDeviceGetCurrentClocksEventReasons": pynvml.nvmlClocksEventReasonSwPowerCap,
}


def recorded(**instead: Any):
    """NVML as it answered; an exception in the place of a value is raised."""

    def answer(value: Any):
        def call(*given: Any):
            if isinstance(value, Exception):
                raise value
            return value

        return call

    constants = {name: getattr(pynvml, name) for name in dir(pynvml) if name.startswith("nvmlClocks")}
    errors = {
        name: getattr(pynvml, name) for name in ("NVMLError", "NVMLError_NotSupported", "NVMLError_LibraryNotFound")
    }
    calls = {name: answer(value) for name, value in {**RECORDED, **instead}.items()}
    return SimpleNamespace(**constants, **errors, **calls, NVML_TEMPERATURE_GPU=0)


def scraped(gpu: Any):
    text = Metrics().render(None, 0, list(families(gpu, gpu.read()))).decode()
    return {
        (sample.name, sample.labels.get("reason", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "gpu" in sample.name or "nvml" in sample.name
    }


def test_figures_have_their_units():
    figures = scraped(Gpu("GPU-1", recorded()))
    assert figures["slipway_gpu_memory_used_bytes", ""] == 3 << 30
    assert figures["slipway_gpu_memory_total_bytes", ""] == 16 << 30
    assert figures["slipway_gpu_utilisation_ratio", ""] == 0.42
    assert figures["slipway_gpu_temperature_celsius", ""] == 61
    assert figures["slipway_gpu_power_watts", ""] == 68.5
    assert figures["slipway_gpu_throttled", "power_cap"] == 1
    assert figures["slipway_gpu_throttled", "hardware_thermal"] == 0
    assert figures["slipway_gpu_info", ""] == 1
    assert figures["slipway_nvml_errors_total", ""] == 0


@pytest.mark.parametrize(
    ("error", "counted"),
    [(pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN), 1), (pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED), 0)],
)
def test_what_is_not_given_is_absent_and_the_rest_is_there(error: Any, counted: int):
    figures = scraped(Gpu("GPU-1", recorded(nvmlDeviceGetPowerUsage=error)))
    assert ("slipway_gpu_power_watts", "") not in figures
    assert figures["slipway_gpu_temperature_celsius", ""] == 61
    assert figures["slipway_nvml_errors_total", ""] == counted


def test_a_lost_device_is_counted_at_every_scrape():
    gpu = Gpu("GPU-1", recorded(nvmlDeviceGetHandleByUUID=pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)))
    scraped(gpu)
    assert scraped(gpu) == {("slipway_nvml_errors_total", ""): 2}


def test_a_driver_that_does_not_start_is_tried_again():
    gpu = Gpu("GPU-1", recorded(nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)))
    scraped(gpu)
    assert scraped(gpu) == {("slipway_nvml_errors_total", ""): 2}


def test_without_the_driver_there_is_nothing_and_it_is_said_once(caplog: pytest.LogCaptureFixture):
    missing = recorded(nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    gpu = Gpu("GPU-1", missing)
    with caplog.at_level("INFO"):
        assert scraped(gpu) == scraped(gpu) == {("slipway_nvml_errors_total", ""): 0}
    assert [record.message for record in caplog.records] == [
        "no figures of the GPU in /metrics: NVML Shared Library Not Found"
    ]


def test_the_real_library_is_asked_by_the_same_names():
    """Whatever machine this is: every name exists, and an unknown GPU gives no figures."""
    assert all(hasattr(pynvml, name) for name in RECORDED)
    gpu = find_gpu("GPU-00000000-0000-0000-0000-000000000000")
    assert gpu is not None
    assert gpu.read() == []
