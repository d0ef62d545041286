# The three images of the project, from one base and Debian's packages:
#   haproxy      stands in for haproxy:3.0 where no image can be pulled; same user, paths, entrypoint and signal
#   whoami       the demo's web server
#   controller   vaultctl, with the Docker client, Compose and git
# `make images` builds them; scripts/images says when each is needed, and names the base by its digest where it has one:
# an image that came from a registry has, one that was built from Debian's packages has not.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS haproxy
# The official image's user numbers: volumes and sockets must not change owner between the two.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends haproxy socat \
    && rm -rf /var/lib/apt/lists/* \
    && groupmod --gid 99 haproxy \
    && usermod --uid 99 haproxy \
    && install -d -o haproxy -g haproxy /var/lib/haproxy \
    && install -d /usr/local/etc/haproxy
COPY --chmod=755 scripts/haproxy-entrypoint /usr/local/bin/docker-entrypoint.sh
USER haproxy
WORKDIR /var/lib/haproxy
# Soft stop: finish what is being served. SIGTERM would cut it.
STOPSIGNAL SIGUSR1
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]


FROM ${BASE} AS whoami
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-aiohttp curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 whoami
COPY vault_plugins/whoami/server.py /usr/local/lib/whoami/server.py
ARG VERSION=1
ENV PORT=8000 VERSION=${VERSION} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="vault-reconciler whoami" org.opencontainers.image.version=${VERSION}
USER whoami
EXPOSE 8000
# Four looks a second until the first success: a rollout does not wait for the tick of a slow clock, and looking, which
# costs a process each time, does not slow down the start that it waits for.
HEALTHCHECK --interval=5s --timeout=2s --start-period=30s --start-interval=0.25s --retries=3 \
    CMD exec curl -sf -o /dev/null --max-time 1 "http://127.0.0.1:${PORT}/healthz"
ENTRYPOINT ["python3", "/usr/local/lib/whoami/server.py"]


FROM ${BASE} AS controller-build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv python3-hatchling ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Before the sources: a change of code does not download anything again.
COPY requirements.lock .
ARG PIP_INDEX_URL
# A machine behind its own certificate authority hands it in as the secret `ca`; it stays out of the image.
RUN --mount=type=secret,id=ca,target=/tmp/ca.crt \
    if [ -s /tmp/ca.crt ]; then export PIP_CERT=/tmp/ca.crt; fi \
    && python3 -m venv /opt/vault-reconciler \
    && /opt/vault-reconciler/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE README.md ./
COPY metrics metrics
COPY vault_plugins vault_plugins
COPY reconciler reconciler
RUN python3 -m hatchling build -t wheel -d /tmp/dist \
    && /opt/vault-reconciler/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
        --no-index --no-deps /tmp/dist/*.whl


FROM ${BASE} AS controller
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3 ca-certificates curl docker-cli docker-compose git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10002 --create-home --home-dir /var/lib/vault-reconciler vault
COPY --from=controller-build /opt/vault-reconciler /opt/vault-reconciler
ENV PATH=/opt/vault-reconciler/bin:$PATH PYTHONUNBUFFERED=1 VAULT_STATE_DIR=/var/lib/vault-reconciler \
    VAULT_LISTEN=127.0.0.1:9180
# Not root, but the engine's socket is root's equal: the container needs the socket's group, `--group-add $(stat -c %g
# /var/run/docker.sock)`, and should be given nothing else. compose.yaml shows it.
USER vault
WORKDIR /var/lib/vault-reconciler
EXPOSE 9180
# Asks itself over its loopback, so the name in its certificate is of no interest.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --start-interval=0.5s --retries=3 \
    CMD exec curl -skf -o /dev/null --max-time 2 "http${VAULT_TLS_CERT:+s}://$VAULT_LISTEN/healthz"
ENTRYPOINT ["vaultctl"]
CMD ["--help"]
