# A real Redis under the official image's name and contract, for machines that cannot pull it.
FROM debian:trixie-slim
RUN groupadd --system --gid 999 redis \
    && useradd --system --uid 999 --gid redis --home-dir /data redis \
    && apt-get update \
    && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o redis -g redis /data
USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
# The official image leaves protected mode off too: the network of the stack is the fence.
CMD ["redis-server", "--protected-mode", "no"]
