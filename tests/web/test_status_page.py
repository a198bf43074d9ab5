"""The public status page in a real browser: true numbers, readable on a phone, honest when contact is lost."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import which

import msgspec
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from coordinator.store import workers
from coordinator.store.engine import Engine
from shared.protocol.messages import Capabilities, Gpu, Hardware, ModelOffer
from tests.swarm.http_hive import MODEL, Served, online, serving

CHROMIUM = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need Chromium"),
    pytest.mark.timeout(180),
]
PATIENCE_MS = 30_000
"""How long the page may take to show something: it asks every two seconds."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        for place in ("rome", "berlin", "new york"):
            worker = online(place, tier=1)
            gpus = [Gpu("Radeon 780M", "Vulkan", 2**33, 2**32)] if place == "rome" else []
            running.hive.join(worker)
            async with engine.begin() as conn:
                await workers.upsert_worker(
                    conn,
                    pk=worker.pk,
                    handle=worker.public.handle,
                    cell=worker.facts.cell,
                    evidence=0,
                    capabilities=msgspec.json.encode(capabilities(worker.public.cell, gpus)),
                    countries=worker.public.countries,
                    now=running.hive.clock(),
                )
        yield running


def capabilities(cell: str, gpus: list[Gpu]) -> Capabilities:
    """What a machine at home brings."""
    return Capabilities(
        cell=cell,
        slots=2,
        models=[ModelOffer(MODEL, "0" * 64, 2048, 8_000_000, loaded=True)],
        hardware=Hardware("AMD Ryzen 7 7840U", 8, 32 * 2**30, 2**34, "Linux", gpus),
        engine_build="b1",
        agent="test",
    )


def watched(page: Page) -> list[str]:
    """What the page complains about: script errors, and whatever its policy blocks."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    return complaints


async def test_it_shows_what_the_swarm_does_and_says_when_contact_is_lost(
    served: Served, browser: Browser, tmp_path: Path
) -> None:
    page = await browser.new_page(viewport={"width": 1100, "height": 900})
    complaints = watched(page)
    await page.goto(served.base_url)
    await expect(page.locator("#active_nodes")).to_have_text("3")
    await expect(page.locator("#waiting")).to_have_text("0")
    await expect(page.locator("#contact")).to_have_text("Live")
    await expect(page.locator("#ledger")).to_contain_text("local ledger")
    for words in ("Italy", "Germany", "United States", "@rome", MODEL, online("rome").public.cell):
        await expect(page.locator("main")).to_contain_text(words)
    async with served.client() as http:
        await http.post("/hive/jobs", json={"model_id": MODEL, "prompt": "hello"})
    await expect(page.locator("#waiting")).to_have_text("1")
    assert complaints == []
    await page.screenshot(path=tmp_path / "desktop.png", full_page=True)
    await page.route("**/hive/**", lambda route: route.abort())
    await expect(page.locator("#contact")).to_contain_text("Contact lost")
    await page.unroute_all()
    await expect(page.locator("#contact")).to_have_text("Live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_it_fits_a_phone(served: Served, browser: Browser, tmp_path: Path, scheme: str, path: str) -> None:
    page = await browser.new_page(
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    complaints = watched(page)
    await page.goto(served.base_url + path)
    await expect(page.locator("h1")).to_be_visible()
    if path == "/":
        await expect(page.locator("#contact")).to_have_text("Live")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360
    assert complaints == []
    await page.screenshot(path=tmp_path / f"phone-{scheme}.png", full_page=True)


async def test_nobody_online_is_said(engine: Engine, browser: Browser, tmp_path: Path) -> None:
    async with serving(engine, tmp_path) as running:
        page = await browser.new_page()
        await page.goto(running.base_url)
        await expect(page.locator("#active_nodes")).to_have_text("0")
        await expect(page.locator("#workers-none")).to_be_visible()
