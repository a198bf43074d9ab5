"""thehive's own examples on a real swarm: only the address, the key, the model and what stands in angle brackets differ."""

import asyncio

import pytest
from standardwebhooks import Webhook

from tests.support_outside import Heard, Other, answering, other_side
from tests.support_up import running

pytestmark = pytest.mark.timeout(240)


async def told(other: Other) -> Heard:
    return await asyncio.wait_for(other.heard.get(), 60)


async def test_both_faces_and_a_job_tell_of_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with other_side() as other:
        other.scripts["/done"] = answering(204)
        url = f"http://127.0.0.1:{other.port}/done"
        monkeypatch.setenv("HIVE_CALLBACK_ALLOW", f"127.0.0.1:{other.port}")
        with running("--workers", "1") as up:
            async with up.client() as http:
                secret = Webhook((await http.get("/hive/webhook-secret")).json()["secret"])
                history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]
                options = {
                    "system_prompt": "Be short.", "prompt_history": history, "top_p": 0.9, "temperature": 0.7,
                    "max_tokens": 20,
                }  # fmt: skip
                task = {"text_data": "What is the capital of Italy?", "callback_url": url, "options": options}
                token = {"authorization": f"Token {up.ready.api_key}"}
                made = await http.post("/api/v2/task/async", json=task, headers=token)
                id_ = made.raise_for_status().json()["task_id"]
                heard = await told(other)
                over = secret.verify(heard.body, heard.headers)
                assert (over["task_id"], over["status"], over["error"]) == (id_, "completed", None)
                assert over["output"]["text"]
                question = {"role": "user", "content": "Explain the concept of reinforcement learning."}
                chat = {"model": "hive-nano", "max_tokens": 1000, "messages": [question]}
                whole = (await http.post("/api/v3/chat/completions", json=chat)).raise_for_status().json()
                assert whole["choices"][0]["message"]["content"]
                await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hi", "callback_url": url})
                heard = await told(other)
                assert secret.verify(heard.body, heard.headers)["status"] == "completed"
                refused = await http.post("/api/v2/task/async", json={**task, "callback_url": "http://127.0.0.1:1/"})
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_callback_url")
