"""The studio: every app as a page of one site, with everything made so far on the front page.

    studio()                  # http://127.0.0.1:7860
    studio(port=8000, user="ann", password="...", output=Path("pictures"))

The site serves this machine only, asks nothing of any other, and lets nobody see more than the pages and their results.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps._app import App
from apps._form import build_gallery, build_page, gr
from apps._jobs import MACHINE, RUNNING
from creative import __version__
from creative.options.studio import StudioSettings

LOCAL = "127.0.0.1,localhost,::1"
MAX_UPLOAD = "64mb"
FOLDER = Path(__file__).parent


class StudioError(ValueError):
    """The site cannot be served as asked. The message is one sentence for a person."""


def studio(
    host: str = "127.0.0.1",
    port: int = 7860,
    user: str | None = None,
    password: str | None = None,
    output: Path = Path("out"),
) -> None:
    """Serve the studio until Ctrl-C.

    Args:
        host: address to listen on; ``0.0.0.0`` lets other machines in.
        port: to listen on; 0 takes a free one.
        user: who may come in; None asks for no login.
        password: the user's; needed with ``user``.
        output: where results are saved and shown from.

    Raises:
        StudioError: the port is taken, or there is a user without a password.
    """
    settings = StudioSettings(host=host, port=port, user=user, output=output)
    serve(build_studio(every_app(), output), settings, password=password)


def every_app() -> list[App]:
    """The apps that have a page, found by their files."""
    from apps._verbs import apps

    return [app for app in apps() if any(action.page for action in app.actions)]


def build_studio(apps: Sequence[App], output: Path = Path("out")) -> gr.Blocks:
    """The front page with a card for each app, and each app's own page behind it."""
    cards = "".join(
        f'<a class="door" href="{_path(app)}"><h3>{html.escape(app.title)}</h3><p>{html.escape(app.summary)}</p></a>'
        for app in apps
    )
    with gr.Blocks(title="Creative", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as site:
        gr.HTML("<header><h1>Creative</h1><p>Pictures and texts by small networks, on this machine.</p></header>")
        gr.HTML(f'<nav class="cards">{cards}</nav>')
        build_gallery(site, output)
    for app in apps:
        page = build_page(app, output)
        with site.route(app.title, _path(app)):
            page.render()
    return site


def _path(app: App) -> str:
    return app.name.replace("_", "-")


def serve(
    page: gr.Blocks, settings: StudioSettings, *, password: str | None = None, busy_port_moves: bool = False
) -> None:
    """Serve a page until Ctrl-C.

    Args:
        page: what to serve.
        settings: where, and to whom.
        password: of ``settings.user``; None reads the environment variable that the settings name.
        busy_port_moves: whether to take one of the next ports where the port is taken.

    Raises:
        StudioError: no port is free, or there is a user without a password.
    """
    import uvicorn

    password = password if password is not None else os.environ.get(settings.password_env)
    if settings.user and not password:
        raise StudioError(f"There is a user but no password: put it into the variable {settings.password_env}.")
    for name in ("NO_PROXY", "no_proxy"):  # a proxy must not stand between this machine and itself
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOCAL]))
    listener = _listen(settings.host, settings.port, 20 if busy_port_moves else 1)
    config = uvicorn.Config(
        site(page, (settings.user, password) if settings.user and password else None),
        log_level="warning",
        timeout_graceful_shutdown=1,  # an open page keeps a connection that would otherwise never end
    )
    address = "localhost" if settings.host in {"127.0.0.1", "0.0.0.0"} else settings.host
    print(f"The page is at http://{address}:{listener.getsockname()[1]} (Ctrl-C ends it).", flush=True)
    threading.Thread(target=_warm_up, daemon=True).start()

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Jobs keep their last preview; pages that are still open are cut off, which is no error."""
            RUNNING.stop_all()
            patience = time.monotonic() + 10
            while len(MACHINE) and time.monotonic() < patience:
                await asyncio.sleep(0.05)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    with contextlib.suppress(ValueError):  # not on the main thread
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what was uploaded is cleared away at the end
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])


def site(page: gr.Blocks, login: tuple[str, str] | None = None) -> Any:
    """The page as a FastAPI application, with ``/health`` beside it."""
    import fastapi

    application = fastapi.FastAPI(title="Creative", docs_url=None, redoc_url=None, openapi_url=None)

    @application.get("/health")
    def health() -> dict[str, Any]:
        """Whether the site is alive, and how many jobs it has."""
        return {"status": "ok", "version": __version__, "jobs": len(MACHINE)}

    page.queue(max_size=64)
    # Gradio checks that a file named in a call was uploaded only where this is set, and mounting does not set it.
    page.has_launched = True
    warnings.filterwarnings("ignore", "SSR mode is not supported")  # it is not asked for
    return gr.mount_gradio_app(
        application,
        page,
        path="/",
        auth=login,
        auth_message="This studio is kept for those who know the word.",
        max_file_size=MAX_UPLOAD,
        allowed_paths=[],
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        favicon_path=str(FOLDER / "_page.svg"),
        theme=gr.themes.Base(font="sans-serif", font_mono="monospace"),
        head=f"<style>{(FOLDER / '_page.css').read_text(encoding='utf-8')}</style>",
        js=(FOLDER / "_page.js").read_text(encoding="utf-8"),
    )


def _listen(host: str, port: int, tries: int) -> socket.socket:
    for number in range(port, port + (tries if port else 1)):
        try:
            return socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            problem = error
    reason = os.strerror(problem.errno).lower() if problem.errno and problem.errno > 0 else problem.strerror
    raise StudioError(f"Port {port} of {host} cannot be listened on ({reason}); choose another with --port.")


def _warm_up() -> None:
    """Load what every job needs while the reader looks at the page."""
    with contextlib.suppress(ImportError):
        import torch  # noqa: F401


__all__ = ["StudioError", "build_studio", "every_app", "serve", "site", "studio"]
