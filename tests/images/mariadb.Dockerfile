# A real MariaDB under the official image's name and contract, for machines that cannot pull it: MARIADB_USER,
# MARIADB_PASSWORD, MARIADB_DATABASE, the data volume, healthcheck.sh, user mysql 999.
FROM debian:trixie-slim
RUN groupadd --system --gid 999 mysql \
    && useradd --system --uid 999 --gid mysql --home-dir /var/lib/mysql mysql \
    && apt-get update \
    && apt-get install --yes --no-install-recommends mariadb-server \
    && rm -rf /var/lib/apt/lists/* /var/lib/mysql /etc/mysql/mariadb.conf.d/* \
    && install -d -o mysql -g mysql /var/lib/mysql \
    && install -d -o mysql -g mysql -m 1777 /run/mysqld
COPY --chmod=755 mariadb-entrypoint /usr/local/bin/docker-entrypoint.sh
RUN printf '#!/bin/sh\nexec mariadb-admin --protocol=tcp --host=127.0.0.1 --user=healthcheck --connect-timeout=3 ping >/dev/null\n' \
        >/usr/local/bin/healthcheck.sh \
    && chmod 755 /usr/local/bin/healthcheck.sh
USER mysql
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mariadbd"]
