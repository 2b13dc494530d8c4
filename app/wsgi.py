"""The WSGI entry for any server: settings from the environment, one application per process."""

from __future__ import annotations

import gc
import os

from app.core.config import load_settings
from app.core.log import configure
from app.web import create_app
from app.wiring import build

_settings = load_settings(config=None, data_dir=None, environ=os.environ)
configure(_settings.log.format, _settings.log.level)
application = create_app(build(_settings))
gc.freeze()
