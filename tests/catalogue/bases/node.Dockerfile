# Node.js and npm from Debian, for applications from npm.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nodejs npm ca-certificates curl wget \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=755 catalogue-npm /usr/local/bin/
