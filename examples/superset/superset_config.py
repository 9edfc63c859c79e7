"""Superset's settings for run: one user at one computer. Not for a server that others reach."""
import os

FOLDER = os.environ["SUPERSET_FOLDER"]
with open(os.path.join(FOLDER, "secret_key"), encoding="ascii") as file:
    SECRET_KEY = file.read()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{FOLDER}/superset.db"
# Every figure is of this moment; awork_fdw's cache_ttl, or a timeout here, has answers serve again.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
# The cookie goes over http to this computer only.
TALISMAN_ENABLED = False
SESSION_COOKIE_SAMESITE = "Lax"
LOG_LEVEL = "WARNING"
