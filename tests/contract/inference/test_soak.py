"""Mixed load with cancels and swaps at full rate: nothing leaks. SLIPWAY_SOAK_MINUTES sets how long (default 2)."""

import os
import random
import threading
import time
from pathlib import Path

import httpx
import pytest


def look(server):
    """Memory in MiB, threads and open files of the server, as the system sees them."""
    process = Path(f"/proc/{server.process.pid}")
    pages = int((process / "statm").read_text().split()[1])
    return (
        pages * os.sysconf("SC_PAGE_SIZE") >> 20,
        len(list((process / "task").iterdir())),
        len(list((process / "fd").iterdir())),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_mixed_load_leaks_nothing(sample, start):
    seconds = 60 * float(os.environ.get("SLIPWAY_SOAK_MINUTES", "2"))
    with start(sample.mount) as server:
        stop = threading.Event()
        failures = []
        done = [0]

        def client(seed):
            chance = random.Random(seed)
            with server.http() as http:
                while not stop.is_set():
                    asked = chance.choice(sample.questions)
                    model, key = chance.choice([(sample.base, "base"), (sample.adapter, "adapter")])
                    body = {
                        "model": model,
                        "messages": [{"role": "user", "content": asked["question"]}],
                        "temperature": 0,
                        "stream": chance.random() < 0.5,
                    }
                    if chance.random() < 0.2:  # goes away in the middle
                        long = {**body, "stream": True, "ignore_eos": True, "max_tokens": 1000}
                        with http.stream("POST", "/v1/chat/completions", json=long) as answer:
                            lines = answer.iter_lines()
                            next(lines)
                        continue
                    answer = http.post("/v1/chat/completions", json=body)
                    done[0] += 1
                    if answer.status_code != 200:
                        failures.append(answer.text)
                    elif not body["stream"] and answer.json()["choices"][0]["message"]["content"] != asked[key]:
                        failures.append(f"{asked['question']} → {answer.text}")

        def swapper():
            body = {
                "lora_name": sample.adapter,
                "lora_path": "models/qlora/qlora/gpu_model/adapter",
                "load_inplace": True,
            }
            while not stop.is_set():
                answer = server.http().post("/v1/load_lora_adapter", json=body)
                if answer.status_code != 200:
                    failures.append(answer.text)

        workers = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
        workers.append(threading.Thread(target=swapper))
        for worker in workers:
            worker.start()
        time.sleep(min(30, seconds / 3))  # the load's own time: caches and pools fill
        before = look(server)
        time.sleep(seconds)
        stop.set()
        for worker in workers:
            worker.join()
        server.eventually(lambda: server.metric("slipway_running") == 0, 30)
        server.eventually(lambda: look(server)[2] <= before[2], 30)
        after = look(server)
        print({"answers": done[0], "before": before, "after": after})
        assert failures == []
        assert server.metric("slipway_kv_blocks_used") == 0
        assert server.metric("slipway_in_flight") == 0
        assert after[0] <= before[0] * 1.1 + 50
        assert after[1] <= before[1] + 2
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
