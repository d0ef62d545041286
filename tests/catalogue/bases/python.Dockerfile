# Python from Debian with an environment that `catalogue-pip` installs into, for applications from PyPI.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv ca-certificates curl wget \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv
COPY --chmod=755 catalogue-pip /usr/local/bin/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
