"""Puts together who may come in and how much they may ask for, for the guard and the login."""

import socket

from fastapi import FastAPI

from serving.access import Access, is_loopback
from serving.api import login, usage
from serving.api.guard import Guard, known_hosts
from serving.home import home
from serving.keyring import KeyRing
from serving.keys import KeyStore
from serving.limits import Limiter
from serving.sessions import Sessions, session_secret
from serving.settings import ServingSettings
from serving.usage import UsageLedger


def install(app: FastAPI, settings: ServingSettings) -> None:
    """Give `app`, which has its database and its internal key, the login, the usage and all they need."""
    state = app.state
    state.limiter = Limiter()
    state.ledger = UsageLedger(state.database, state.limiter)
    state.access = Access(
        KeyRing(KeyStore(state.database)),
        Sessions(session_secret(home()), settings.login_s),
        internal_key=state.internal_key,
        own_addresses=_addresses(settings.host),
        own_key=settings.api_key.get_secret_value() if settings.api_key else None,
        open_on_loopback=is_loopback(settings.host),
    )
    state.wrong_keys = login.WrongKeys()
    state.login_page = login.plain_login_page
    for family in (login, usage):
        app.include_router(family.router)


def guard(app: FastAPI, settings: ServingSettings) -> Guard:
    """What stands in front of `app`."""
    hosts = known_hosts(settings.host, settings.allowed_hosts)
    return Guard(app, hosts, app.state.access, app.state.limiter, app.state.ledger)


def _addresses(host: str) -> frozenset[str]:
    """From where a server bound to `host` reaches itself."""
    return frozenset(address[0] for *_, address in socket.getaddrinfo(host, None))
