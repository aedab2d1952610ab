"""Serves the chat page and its files: compressed once, cached by content, under a strict content security policy."""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from serving.api.errors import ApiError

FOLDER = Path(__file__).parent
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER = "public, max-age=31536000, immutable"
# What the first paint needs is part of the page, and named in its policy by its hash; everything else is a file.
STYLES = ("base.css", "layout.css", "message.css", "prose.css", "panels.css")
THEME = "theme.js"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",  # without any, a form's Origin would be null
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter()


@dataclass(frozen=True)
class Asset:
    """A file as it goes over the wire."""

    content: bytes
    gzipped: bytes
    etag: str
    media_type: str
    policy: str

    @classmethod
    def of(cls, content: bytes, suffix: str, policy: str) -> "Asset":
        """`content` of a file that ends in `suffix`."""
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, gzip.compress(content, mtime=0), etag, MEDIA_TYPES[suffix], policy)

    def response(self, request: Request, caching: str) -> Response:
        """The answer: nothing but headers for who has it already, compressed for who understands it."""
        headers = {**HEADERS, "Content-Security-Policy": self.policy, "ETag": self.etag, "Vary": "Accept-Encoding"}
        headers["Cache-Control"] = caching
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.gzipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.content, headers=headers, media_type=self.media_type)


@router.get("/")
async def chat_page(request: Request) -> Response:
    """The chat page."""
    return _chat_page().response(request, "no-cache")


@router.get("/static/{digest}/{name}")
async def static_file(request: Request, digest: str, name: str) -> Response:
    """A file of the page. The digest is that of the whole folder, so that modules find each other by relative names."""
    asset = _files().get(name)
    if asset is None:
        raise ApiError(404, f"There is no file {name[:100]!r}.", code="unknown_url")
    return asset.response(request, FOREVER if digest == _digest() else "no-cache")


def login_page(problem: str) -> HTMLResponse:
    """The form that posts `key` to /login, with a sentence on what went wrong or ""."""
    page = Template((FOLDER / "login.html").read_text()).substitute(static=_static(), problem=escape(problem))
    return HTMLResponse(page, headers={**HEADERS, "Content-Security-Policy": policy(), "Cache-Control": "no-store"})


def policy(script: str = "", style: str = "") -> str:
    """The content security policy of a page that holds this script and this style, byte by byte, and no other."""
    return (
        f"default-src 'none'; script-src 'self'{_hash(script)}; style-src 'self'{_hash(style)}; "
        "img-src 'self' data: blob:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types rendered"
    )


def _hash(inline: str) -> str:
    """As one more source of a policy."""
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    return f" 'sha256-{digest}'" if inline else ""


@cache
def _chat_page() -> Asset:
    """Preloads every module: otherwise the browser would learn of them one import after the other.

    They come at its end and without haste, so that it is painted first.
    """
    modules = sorted(name for name in _files() if name.endswith(".js") and name != THEME)
    static = _static()
    parts = {
        "static": static,
        "style": "".join(_files()[name].content.decode() for name in STYLES),
        "theme": _files()[THEME].content.decode(),
        "modules": "\n".join(
            f'<link rel="modulepreload" fetchpriority="low" href="{static}/{name}">' for name in modules
        ),
    }
    page = Template((FOLDER / "index.html").read_text()).substitute(parts)
    return Asset.of(page.encode(), ".html", policy(parts["theme"], parts["style"]))


@cache
def _files() -> dict[str, Asset]:
    return {
        path.name: Asset.of(path.read_bytes(), path.suffix, policy()) for path in sorted((FOLDER / "static").iterdir())
    }


@cache
def _digest() -> str:
    etags = "".join(asset.etag for asset in _files().values())
    return hashlib.sha256(etags.encode()).hexdigest()[:16]


def _static() -> str:
    return f"/static/{_digest()}"
