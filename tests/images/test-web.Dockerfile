# A web server that obeys the settings with which the shipped plugins run File Browser and Paperless-ngx, for tests
# that are about the stack around a service and not about the service.
FROM vault-reconciler/whoami:latest
USER root
COPY --chmod=755 test-web-entrypoint /usr/local/bin/test-web-entrypoint
RUN printf '#!/bin/sh\nexec curl -sf -o /dev/null --max-time 1 "http://127.0.0.1:${FB_PORT}/health"\n' >/healthcheck.sh \
    && chmod 755 /healthcheck.sh
USER whoami
ENTRYPOINT ["test-web-entrypoint"]
