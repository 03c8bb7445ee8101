"""The decode path for GPUs: static buffers, paged attention, fused kernels, graphs. The same code runs on a CPU for tests."""
